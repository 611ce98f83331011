"""Which part of a model's layers this process computes. Here: all of it; engine/parallel/part.py has the others."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor

from engine.models.config import DecoderConfig

if TYPE_CHECKING:
    from engine.models.linear import Linear
    from engine.models.loader import Weights

T = TypeVar("T")


class Shard:
    """The whole. A part holds some heads, some columns of the feed-forward network and some rows of the output head.

    What is not split (embeddings, norms, whatever drafts on its own) is computed alike by every process.
    """

    rank = 0
    size = 1

    def config(self, config: DecoderConfig) -> DecoderConfig:
        """The shapes of this part's layers and cache; ConfigError where they cannot be split evenly."""
        return config

    def layers(self, weights: "Weights", config: DecoderConfig) -> "Weights":
        """What the layers of this part are taken from; `config` is that of the whole."""
        return weights

    def rows(
        self, weights: "Weights", name: str, shape: tuple[int, int], dtype: torch.dtype, device: torch.device
    ) -> Tensor:
        """This part's rows of the output head `name`, whose whole shape is [V, H]."""
        return weights.take(name, shape, dtype, device)

    def rows_of(self, head: Tensor) -> Tensor:
        """The same of a head [V, H] that is in memory."""
        return head

    def summed(self, linear: "Linear") -> "Linear":
        """A product over this part's columns, made the product over all columns."""
        return linear

    def gathered(self, linear: "Linear", size: int) -> "Linear":
        """A product with this part's rows of a head, made the product with all `size` rows."""
        return linear

    def device(self, device: torch.device) -> torch.device:
        """The device of this part."""
        return device

    def decided(self, decide: Callable[[], list[int]]) -> list[int]:
        """Two numbers that one process decides on for all, where the clock has a say."""
        return decide()

    def all(self, flag: bool) -> bool:
        """Whether it holds in every process."""
        return flag

    def describe(self) -> dict[str, Any]:
        """For the record."""
        return {"tensor_parallel_size": 1}


WHOLE = Shard()
