"""Random weights in place of a checkpoint: a model of full size from its config.json alone, to measure its cost."""

import zlib
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from engine.errors import ConfigError
from engine.models.config import read_raw_config
from engine.models.loader import STANDARD, Weights, place
from engine.models.quantized.reader import QuantizedWeights
from engine.models.quantized.stored import read_stored
from engine.models.tensor_files import Part

SPREAD = 0.02  # the deviation that such models are usually initialised with


class DummyWeights(Weights):
    """Gives whatever is asked for, made where it is to lie: vectors of ones, biases of zeros, matrices of noise.

    A tensor depends on its name and shape alone. It has no names to tell, so what is optional is not there.
    """

    def __init__(self, folder: Path, files: Sequence[str] = STANDARD, strip: Sequence[str] = ()):
        self.folder = folder

    def names(self) -> list[str]:
        return []

    def has(self, name: str) -> bool:
        return False

    def take(
        self,
        name: str,
        shape: tuple[int, ...],
        dtype: torch.dtype,
        device: torch.device,
        part: Part | None = None,
        into: Tensor | None = None,
    ) -> Tensor:
        whole = _make(name, shape, dtype, device)
        return place(whole if part is None else whole[part], dtype, device, into)

    def finish(self, skips: tuple[str, ...] = (), within: tuple[str, ...] = ("",)) -> None:
        """Nothing can be left over."""


def _make(name: str, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    if not dtype.is_floating_point or name.endswith(".bias"):
        return torch.zeros(shape, dtype=dtype, device=device)
    if len(shape) == 1:
        return torch.ones(shape, dtype=dtype, device=device)
    generator = torch.Generator(device).manual_seed(zlib.crc32(name.encode()))
    half = torch.float16 if dtype == torch.float32 else dtype  # what checkpoints hold, and the fast product needs
    return torch.empty(shape, dtype=half, device=device).normal_(0.0, SPREAD, generator=generator).to(dtype)


def open_weights(
    folder: Path, load_format: str = "auto", files: Sequence[str] = STANDARD, strip: Sequence[str] = ()
) -> Weights:
    """The tensors of a folder, or with load_format "dummy" random ones of any name."""
    stored = read_stored(read_raw_config(folder), folder)
    if load_format == "dummy":
        if stored is not None:
            raise ConfigError(f"{folder} is quantized ({stored}), which random weights are not: load_format=auto")
        return DummyWeights(folder, files, strip)
    return Weights(folder, files, strip) if stored is None else QuantizedWeights(folder, stored, files, strip)
