"""Decoder layers and what their steps share, by torch's own operators."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from engine.errors import EngineError
from engine.models.attention import Planner, Span
from engine.models.config import DecoderConfig
from engine.models.fixed_rows import FixedRows
from engine.models.kv_cache import KVCache
from engine.models.layers import Layer, LayerWeights, StepInput
from engine.models.linear import Product
from engine.models.rope import inverse_frequencies, rotations

Short = Sequence[Span] | FixedRows  # of decoding sequences


class DecoderLayer(Protocol):
    """A layer as stacks and draft networks call it; `step` is what its stack made."""

    index: int

    def __call__(self, x: Tensor, step: Any, cache: KVCache) -> Tensor:
        """x [rows, hidden], which may be changed -> the residual stream after the layer."""

    def attention(self, normed: Tensor, step: Any, cache: KVCache) -> Tensor:
        """normed [rows, columns of qkv] -> [rows, hidden]; writes the rows' keys and values into the cache."""

    def feed_forward(self, x: Tensor) -> Tensor:
        """x [rows, hidden] -> mlp(norm(x)), without the residual."""


class Stack:
    """Decoder layers and what their steps share: rotation table and attention plan. Draft networks use it too.

    What step_input makes of spans is between a stack and its layers.
    """

    layer_type: Callable[[LayerWeights, DecoderConfig, int, Product], DecoderLayer] = Layer

    def __init__(
        self,
        config: DecoderConfig,
        weights: Sequence[LayerWeights],
        max_model_len: int,
        dtype: torch.dtype,
        device: torch.device,
        product: Product,
    ):
        self.config = config
        self.layers: Sequence[DecoderLayer] = [
            self.layer_type(layer, config, i, product) for i, layer in enumerate(weights)
        ]
        self._table = rotations(*inverse_frequencies(config.raw, config.head_dim), max_model_len).to(device)
        self._planner = Planner(max_model_len, config.windows, dtype, device)
        self._device = device

    def run(self, x: Tensor, step: Any, cache: KVCache, taps: Sequence[int] = ()) -> tuple[Tensor, dict[int, Tensor]]:
        """x [rows, H], changed in place -> the residual stream after all layers, and what was tapped on the way."""
        kept = {0: x.clone()} if 0 in taps else {}
        for layer in self.layers:
            x = layer(x, step, cache)
            if layer.index + 1 in taps:
                kept[layer.index + 1] = x.clone()
        return x, kept

    def step_input(self, short: Short, long: Sequence[Span], cache: KVCache) -> Any:
        """`short` spans first (ordered by slot), then `long` ones; places and rotations of their rows."""
        if not isinstance(short, Sequence):
            raise EngineError("rows of fixed shape need the fused kernels")
        positions: list[int] = []
        places: list[int] = []
        for span in (*short, *long):
            first = span.slot * cache.slot_len + span.start
            positions += span.positions
            places += range(first, first + span.length)
        groups = self._planner.groups(short, long)
        return StepInput(self.tensor(places), self._rotation(self.tensor(positions)), groups)

    def tensor(self, values: Sequence[int]) -> Tensor:
        """Indices on this stack's device."""
        return torch.tensor(values, dtype=torch.int64, device=self._device)

    def _rotation(self, positions: Tensor) -> Tensor:
        config = self.config
        rotated, total = config.num_heads + config.num_kv_heads, config.num_heads + 2 * config.num_kv_heads
        out = torch.ones(len(positions), total, config.head_dim // 2, dtype=torch.complex64, device=self._device)
        out[:, :rotated] = self._table.index_select(0, positions)[:, None]
        return out
