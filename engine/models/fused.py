"""Decoder layers by the operators of `kernels/`: Triton on a GPU, their plain references on a CPU.

Decoding rows go through tree_attention; prompt chunks share everything but that with them. The additions to the
residual stream are fused with the norm that follows, so a layer hands on what it adds and the stream before it.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from engine.models.attention import Span, attend
from engine.models.config import DecoderConfig
from engine.models.kv_cache import KVCache
from engine.models.layers import LayerWeights
from engine.models.linear import Product, build_linear
from engine.models.stack import Short, Stack
from engine.models.step_tensors import DecodingRows, FusedStep, lay_out
from kernels.qk_norm_rope_cache.op import qk_norm_rope_cache
from kernels.rms_norm.op import add_rms_norm, rms_norm
from kernels.silu_and_mul.op import silu_and_mul
from kernels.tree_attention.op import tree_attention

Join = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


class FusedLayer:
    """x -> x + attention(norm(x)) -> x + mlp(norm(x)); x [rows, hidden] stays as it is."""

    def __init__(self, weights: LayerWeights, config: DecoderConfig, index: int, product: Product):
        self.index = index
        self.window = config.windows[index]
        self.dim = config.head_dim
        self._eps = config.rms_norm_eps
        self._scale = config.head_dim**-0.5
        self._input_norm, self._post_norm = weights.input_norm, weights.post_norm
        self._qk_norm = weights.qk_norm
        self._qkv = build_linear(weights.qkv, weights.qkv_bias, product)
        self._o = weights.shard.summed(build_linear(weights.o, weights.o_bias, product))
        self._gate_up = build_linear(weights.gate_up, weights.gate_up_bias, product)
        self._down = weights.shard.summed(build_linear(weights.down, weights.down_bias, product))

    def __call__(self, x: Tensor, step: FusedStep, cache: KVCache) -> Tensor:
        added, stream = self.advance(self.normed(x), x, step, cache)
        return stream + added

    def normed(self, x: Tensor) -> Tensor:
        """The input of the attention."""
        return x if self._input_norm is None else rms_norm(x, self._input_norm, self._eps)

    def join(self) -> Join:
        """(what the layer before adds, the stream before that) -> the attention's input, the stream."""
        if self._input_norm is None:
            return _add
        return partial(_add_and_norm, weight=self._input_norm, eps=self._eps)

    def advance(self, normed: Tensor, stream: Tensor, step: FusedStep, cache: KVCache) -> tuple[Tensor, Tensor]:
        """The attention's input and the stream -> what the feed-forward part adds, and the stream before that."""
        attended = self.attention(normed, step, cache)
        normed, stream = add_rms_norm(attended, stream, self._post_norm, self._eps)
        return self._gated(normed), stream

    def attention(self, normed: Tensor, step: FusedStep, cache: KVCache) -> Tensor:
        """normed [rows, columns of qkv] -> [rows, hidden]; writes the rows' keys and values into the cache."""
        rows, layer = (step.places, step.positions, step.rotations), cache.layers[self.index]
        query = qk_norm_rope_cache(self._qkv(normed), layer, *rows, self._qk_norm, self._eps)
        return self._o(self._attend(query, step, cache))

    def feed_forward(self, x: Tensor) -> Tensor:
        """x [rows, hidden] -> mlp(norm(x)), without the residual."""
        return self._gated(rms_norm(x, self._post_norm, self._eps))

    def _gated(self, normed: Tensor) -> Tensor:
        return self._down(silu_and_mul(self._gate_up(normed)))

    def _attend(self, query: Tensor, step: FusedStep, cache: KVCache) -> Tensor:
        """query [rows, heads * D] -> [rows, heads * D]."""
        rows = step.decoding
        if rows is None:
            return attend(query, cache, self.index, step.prompts, self.window, self.dim)
        if not step.prompts:
            return self._attend_nodes(query, rows, cache)
        nodes, chunks = query[: rows.num_rows], query[rows.num_rows :]
        attended = attend(chunks, cache, self.index, step.prompts, self.window, self.dim)
        return torch.cat([self._attend_nodes(nodes, rows, cache), attended])

    def _attend_nodes(self, query: Tensor, rows: DecodingRows, cache: KVCache) -> Tensor:
        dense = query if rows.pad is None else query.index_select(0, rows.pad)
        shaped = dense.view(len(rows.slots), rows.q_len, -1, self.dim)
        what = (rows.slots, rows.prefix, rows.lengths, rows.masks, self._scale, cache.slot_len, self.window)
        out = tree_attention(shaped, cache.layers[self.index], *what).view(dense.shape)
        return out if rows.unpad is None else out.index_select(0, rows.unpad)


class FusedStack(Stack):
    """See Stack."""

    layer_type = FusedLayer
    layers: Sequence[FusedLayer]

    def __init__(self, *args: Any):
        super().__init__(*args)
        self._joins: list[Join] = [*(layer.join() for layer in self.layers[1:]), _add]

    def run(
        self, x: Tensor, step: FusedStep, cache: KVCache, taps: Sequence[int] = ()
    ) -> tuple[Tensor, dict[int, Tensor]]:
        """See Stack.run; nothing is changed in place, so what is tapped needs no copy."""
        kept = {0: x} if 0 in taps else {}
        normed, stream = self.layers[0].normed(x), x
        for layer, join in zip(self.layers, self._joins, strict=True):
            added, stream = layer.advance(normed, stream, step, cache)
            normed, stream = join(added, stream)
            if layer.index + 1 in taps:
                kept[layer.index + 1] = stream
        return stream, kept

    def step_input(self, short: Short, long: Sequence[Span], cache: KVCache) -> FusedStep:
        """See Stack.step_input; `short` spans may lie in any order, or be rows of fixed shape without `long` ones."""
        if not isinstance(short, Sequence):
            return short.step(cache.slot_len, self._table)
        return lay_out(short, long, self._planner.groups([], long), cache.slot_len, self._table)


def _add(added: Tensor, stream: Tensor) -> tuple[Tensor, Tensor]:
    total = stream + added
    return total, total


def _add_and_norm(added: Tensor, stream: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    return add_rms_norm(added, stream, weight, eps)
