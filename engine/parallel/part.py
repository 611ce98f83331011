"""A part of a model: what is split of its layers, and where the parts are put together again.

Two sums a layer: the output projection of the attention and of the feed-forward network are products over the heads and
columns that a process holds. The logits are put together once, after the head.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from engine.models.config import DecoderConfig
from engine.models.linear import Linear
from engine.models.loader import Weights
from engine.models.shard import Shard
from engine.parallel.group import Group
from engine.parallel.layer_part import LayerPart, refuse_uneven


class Part(Shard):
    """See Shard."""

    def __init__(self, group: Group):
        self.rank, self.size, self._group = group.rank, group.size, group

    def config(self, config: DecoderConfig) -> DecoderConfig:
        refuse_uneven(config, self.size)
        return replace(
            config,
            num_heads=config.num_heads // self.size,
            num_kv_heads=max(config.num_kv_heads // self.size, 1),
            intermediate_size=config.intermediate_size // self.size,
        )

    def layers(self, weights: Weights, config: DecoderConfig) -> Weights:
        return LayerPart(weights, config, self.rank, self.size)

    def rows(
        self, weights: Weights, name: str, shape: tuple[int, int], dtype: torch.dtype, device: torch.device
    ) -> Tensor:
        return self._filled(weights.take(name, shape, dtype, device, (self._mine(shape[0]),)), shape[0])

    def rows_of(self, head: Tensor) -> Tensor:
        return self._filled(head[self._mine(len(head))], len(head))

    def _mine(self, size: int) -> slice:
        """As many rows for each; fewer for the last, or none."""
        each = -(-size // self.size)
        return slice(min(self.rank * each, size), min((self.rank + 1) * each, size))

    def _filled(self, rows: Tensor, size: int) -> Tensor:
        """With zeros, to as many as the others have."""
        missing = -(-size // self.size) - len(rows)
        return pad(rows, (0, 0, 0, missing)) if missing else rows

    def summed(self, linear: Linear) -> Linear:
        add_up = self._group.add_up
        return lambda x: add_up(linear(x))

    def gathered(self, linear: Linear, size: int) -> Linear:
        join, is_even = self._group.join, size % self.size == 0
        if is_even:
            return lambda x: join(linear(x))
        return lambda x: join(linear(x))[:, :size].contiguous()

    def device(self, device: torch.device) -> torch.device:
        return self._group.device

    def decided(self, decide: Callable[[], list[int]]) -> list[int]:
        """Two numbers, by rank 0, while the others wait."""
        return self._group.told(decide() if self.rank == 0 else None, 2)

    def all(self, flag: bool) -> bool:
        return bool(self._group.least(int(flag)))

    def describe(self) -> dict[str, Any]:
        return {"tensor_parallel_size": self.size, "tensor_parallel_backend": self._group.backend}
