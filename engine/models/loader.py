"""Weights of a Hugging Face folder: every tensor is taken exactly once, and none may be missing or left over."""

import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from engine.errors import ConfigError

# Buffers that old exports carry and that every reader recomputes.
_RECOMPUTED = ("rotary_emb.inv_freq",)


class Weights:
    """The tensors of a folder by name. `take` hands one out; `finish` refuses what nobody took."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._files = _tensor_files(folder)
        self._handles: dict[Path, safe_open] = {}
        self._left = set(self._files)

    def take(self, name: str, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
        """The tensor `name`, checked against `shape`, converted and moved."""
        if name not in self._files:
            raise ConfigError(
                f"tensor {name} is missing in {self.folder}: the architecture in its config.json needs it"
            )
        tensor = self._open(self._files[name]).get_tensor(name)
        if tuple(tensor.shape) != shape:
            raise ConfigError(
                f"tensor {name} in {self.folder} has shape {tuple(tensor.shape)}: config.json asks for {shape}"
            )
        self._left.discard(name)
        return tensor.to(device=device, dtype=dtype)

    def finish(self, skips: tuple[str, ...] = ()) -> None:
        """Raise if a tensor was never taken, unless its name starts with one of `skips`."""
        left = sorted(name for name in self._left if not name.startswith(skips) and not name.endswith(_RECOMPUTED))
        if left:
            shown = ", ".join(left[:3]) + (f" and {len(left) - 3} more" if len(left) > 3 else "")
            raise ConfigError(f"{self.folder} holds tensors that its architecture has no place for: {shown}")

    def _open(self, path: Path) -> safe_open:
        if path not in self._handles:
            self._handles[path] = open_safetensors(path)
        return self._handles[path]


def open_safetensors(path: Path) -> safe_open:
    try:
        return safe_open(path, framework="pt")
    except (SafetensorError, OSError) as error:
        raise ConfigError(f"{path} cannot be read as safetensors ({error}): the file is truncated or not one") from None


def _tensor_files(folder: Path) -> dict[str, Path]:
    index = folder / "model.safetensors.index.json"
    if index.exists():
        return {name: folder / file for name, file in json.loads(index.read_text())["weight_map"].items()}
    single = folder / "model.safetensors"
    if not single.exists():
        raise ConfigError(f"{folder} holds no weights: expected model.safetensors or model.safetensors.index.json")
    return dict.fromkeys(open_safetensors(single).keys(), single)
