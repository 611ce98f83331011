"""Files of named tensors, safetensors or torch's own, opened lazily and without ever running code from them."""

import json
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from engine.errors import ConfigError

INDEX = ".index.json"
TORCH_SUFFIXES = (".bin", ".pt", ".pth")
SUFFIXES = (".safetensors", *TORCH_SUFFIXES)
Part = tuple[slice, ...]


class TensorFile(Protocol):
    """One open file: what it holds, and a tensor by name, or a part of one: a view of the mapped file on the CPU."""

    def names(self) -> list[str]: ...
    def shape(self, name: str) -> tuple[int, ...]: ...
    def read(self, name: str, part: Part | None = None) -> Tensor: ...


class SafetensorsFile:
    def __init__(self, path: Path):
        try:
            self._file = safe_open(path, framework="pt")
        except (SafetensorError, OSError) as error:
            raise ConfigError(
                f"{path} cannot be read as safetensors ({_line(error)}): the file is truncated or not one"
            ) from None

    def names(self) -> list[str]:
        return list(self._file.keys())

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._file.get_slice(name).get_shape())

    def read(self, name: str, part: Part | None = None) -> Tensor:
        return self._file.get_tensor(name) if part is None else self._file.get_slice(name)[part]


class TorchFile:
    """A state dict of torch.save. Only tensors are unpickled; anything else in the file is refused."""

    def __init__(self, path: Path):
        self._tensors = _load_state_dict(path)

    def names(self) -> list[str]:
        return list(self._tensors)

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._tensors[name].shape)

    def read(self, name: str, part: Part | None = None) -> Tensor:
        return self._tensors[name] if part is None else self._tensors[name][part]


def open_tensor_file(path: Path) -> TensorFile:
    """The file at `path`, by its suffix."""
    if not path.is_file():
        raise ConfigError(f"{path} is missing: the weights were not copied or downloaded completely")
    if path.suffix == ".safetensors":
        return SafetensorsFile(path)
    if path.suffix in TORCH_SUFFIXES:
        return TorchFile(path)
    raise ConfigError(f"{path} is no file of tensors: allowed are {', '.join(SUFFIXES)}")


def open_shards(index: Path) -> dict[Path, TensorFile]:
    """The files that an index names, opened; refuses what the index promises and no shard holds."""
    weight_map = _read_weight_map(index)
    shards = {index.parent / file: open_tensor_file(index.parent / file) for file in sorted(set(weight_map.values()))}
    held = {file.name: set(shard.names()) for file, shard in shards.items()}
    for name, file in weight_map.items():
        if name not in held[file]:
            raise ConfigError(f"tensor {name} is not in {index.parent / file}, where {index.name} says it is")
    return shards


def _read_weight_map(index: Path) -> dict[str, str]:
    try:
        weight_map = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise ConfigError(f"{index} is no index of weights ({type(error).__name__}: {error})") from None
    if not isinstance(weight_map, dict):
        raise ConfigError(f"{index} has a weight_map that is no mapping from tensor to file")
    for name, file in weight_map.items():
        if not isinstance(file, str) or Path(file).name != file:
            raise ConfigError(f"{index} places tensor {name} in {file!r}: it must be the name of a file beside it")
    return weight_map


def _load_state_dict(path: Path) -> Mapping[str, Tensor]:
    try:
        # Files older than torch 1.6 are no zip archives and cannot be mapped.
        loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError as error:
        raise ConfigError(
            f"{path} holds more than tensors, and no code of a checkpoint is run: use safetensors ({_line(error)})"
        ) from None
    except (RuntimeError, EOFError, OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read as weights of torch ({_line(error)}): truncated or not one") from None
    if not isinstance(loaded, Mapping):
        raise ConfigError(f"{path} holds a {type(loaded).__name__}: it must be a mapping from names to tensors")
    for name, tensor in loaded.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise ConfigError(f"{path} holds {name!r}, a {type(tensor).__name__}: every entry must be a named tensor")
    return loaded


def _line(error: Exception) -> str:
    """The first line of what torch or safetensors say, whose texts may have many."""
    return str(error).strip().partition("\n")[0] or type(error).__name__
