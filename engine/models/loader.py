"""Weights of a Hugging Face folder: every tensor is taken exactly once, and none may be missing or left over."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from engine.errors import ConfigError
from engine.models.tensor_files import INDEX, Part, TensorFile, open_shards, open_tensor_file

STANDARD = ("model.safetensors.index.json", "model.safetensors", "pytorch_model.bin.index.json", "pytorch_model.bin")
# Buffers that old exports carry and that every reader recomputes.
_RECOMPUTED = ("rotary_emb.inv_freq",)


class Weights:
    """The tensors of a folder by name. `take` hands one out; `finish` refuses what nobody took.

    The first of `files` that exists is read; a name that ends in .index.json stands for the shards it lists. A name
    that begins with one of `strip` is known without that prefix.
    """

    def __init__(self, folder: Path, files: Sequence[str] = STANDARD, strip: Sequence[str] = ()):
        self.folder = folder
        self._homes: dict[str, tuple[TensorFile, str]] = {}  # file and name in the file, by the name it is known by
        for file, opened in _open_first(folder, files).items():
            for stored in opened.names():
                self._register(_without_prefix(stored, strip), stored, file, opened)
        self._left = set(self._homes)

    def names(self) -> list[str]:
        """All names, in alphabetical order."""
        return sorted(self._homes)

    def has(self, name: str) -> bool:
        """For optional tensors: whether `take` would find it."""
        return name in self._homes

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor, read without reading its data."""
        opened, stored = self._home(name)
        return opened.shape(stored)

    def take(
        self,
        name: str,
        shape: tuple[int, ...],
        dtype: torch.dtype,
        device: torch.device,
        part: Part | None = None,
        into: Tensor | None = None,
    ) -> Tensor:
        """The tensor `name`, checked against `shape`, moved and converted.

        part  slices of the leading dimensions: no more than these is read; `shape` stays that of the whole tensor
        into  where it goes, of as many elements: nothing else is made on the device, but for the time of the move
        """
        self.check_shape(name, shape)
        opened, stored = self._home(name)
        tensor = opened.read(stored, part)
        if tensor.is_floating_point() != dtype.is_floating_point:
            raise ConfigError(f"tensor {stored} in {self.folder} is {tensor.dtype}, which cannot stand for {dtype}")
        self._left.discard(name)
        return place(tensor, dtype, device, into)

    def check_shape(self, name: str, shape: tuple[int, ...]) -> None:
        """Raise where the file has another."""
        if (found := self.shape(name)) != tuple(shape):
            raise ConfigError(f"tensor {name} in {self.folder} has shape {found}: config.json asks for {tuple(shape)}")

    def fuse(
        self,
        names: Sequence[str],
        rows: Sequence[int],
        columns: Sequence[int],
        dtype: torch.dtype,
        device: torch.device,
    ) -> Tensor:
        """[sum of rows, *columns]: the tensors `names` below each other, each written straight to its place."""
        fused = torch.empty(sum(rows), *columns, dtype=dtype, device=device)
        for name, row, part in zip(names, rows, fused.split(list(rows)), strict=True):
            self.take(name, (row, *columns), dtype, device, into=part)
        return fused

    def finish(self, skips: tuple[str, ...] = (), within: tuple[str, ...] = ("",)) -> None:
        """Raise if a tensor was never taken whose name starts with one of `within` and none of `skips`."""
        unused = [name for name in self._left if name.startswith(within) and not name.startswith(skips)]
        left = sorted(name for name in unused if not name.endswith(_RECOMPUTED))
        if left:
            shown = ", ".join(left[:3]) + (f" and {len(left) - 3} more" if len(left) > 3 else "")
            raise ConfigError(f"{self.folder} holds tensors that its architecture has no place for: {shown}")

    def _home(self, name: str) -> tuple[TensorFile, str]:
        if name not in self._homes:
            raise ConfigError(
                f"tensor {name} is missing in {self.folder}: the architecture in its config.json needs it"
            )
        return self._homes[name]

    def _register(self, name: str, stored: str, file: Path, opened: TensorFile) -> None:
        if name in self._homes:
            other = self._homes[name][1]
            what = f"tensor {name} twice" if other == stored else f"both {other} and {stored}, which are one tensor"
            raise ConfigError(f"{self.folder} holds {what} (the second in {file.name}): each must be there once")
        self._homes[name] = opened, stored


def place(tensor: Tensor, dtype: torch.dtype, device: torch.device, into: Tensor | None) -> Tensor:
    """Files are mapped: what lies on the host is their pages. So a tensor is moved first and converted there."""
    moved = tensor.to(device)
    return moved.to(dtype).contiguous() if into is None else into.copy_(moved.reshape(into.shape))


def _open_first(folder: Path, files: Sequence[str]) -> dict[Path, TensorFile]:
    """The first of `files` that the folder has, or the shards that it lists."""
    for file in files:
        path = folder / file
        if path.is_file():
            return open_shards(path) if file.endswith(INDEX) else {path: open_tensor_file(path)}
    raise ConfigError(f"{folder} holds no weights: expected one of {', '.join(files)}")


def _without_prefix(name: str, prefixes: Sequence[str]) -> str:
    for prefix in prefixes:
        if name.startswith(prefix):
            return name.removeprefix(prefix)
    return name
