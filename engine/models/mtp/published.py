"""Blocks that transformers computes: mixtures of experts and latent attention, over the engine's cache.

A step runs one sequence after the other. A position's key and value (or its latent and rotary part) are one row of the
cache, as in the native layers, so a rejected draft needs no clean-up here either.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from engine.models.attention import Span, tree_bias
from engine.models.kv_cache import KVCache
from engine.models.loader import Weights
from engine.models.mtp.families import PublishedBlock
from engine.models.mtp.published_layer import load_published
from engine.models.stack import Short


class TransformersBlock:
    """z [rows, H] of the spans of a step -> the block's output [rows, H]."""

    def __init__(
        self,
        kind: PublishedBlock,
        raw: Mapping[str, Any],
        weights: Weights,
        prefix: str,
        index: int,
        max_model_len: int,
        like: tuple[torch.dtype, torch.device],
    ):
        self._index = index
        self._layer, rotary = load_published(kind, raw, weights, prefix, like)
        probe = torch.zeros(1, dtype=like[0], device=like[1])
        self._cos, self._sin = rotary(probe, torch.arange(max_model_len, device=like[1])[None])

    def __call__(self, z: Tensor, short: Short, long: Sequence[Span], cache: KVCache) -> Tensor:
        assert isinstance(short, Sequence), "such blocks are not drafted with in fixed shapes"
        spans = [*short, *long]
        parts = z.split([span.length for span in spans])
        return torch.cat([self._run(part, span, cache) for part, span in zip(parts, spans, strict=True)])

    def _run(self, z: Tensor, span: Span, cache: KVCache) -> Tensor:
        end = span.start + span.length
        at = torch.tensor(list(span.positions), device=z.device)
        last = at if span.tree is None else torch.full_like(at, span.tree.base)
        hidden = torch.arange(end, device=z.device) > last[:, None]
        mask = torch.zeros(hidden.shape, dtype=z.dtype, device=z.device).masked_fill_(hidden, float("-inf"))
        if span.tree is not None and any(span.tree.masks):
            bias = tree_bias(span.tree.masks, None, z.dtype, z.device)
            mask[:, span.tree.base + 1 : span.tree.base + 1 + bias.shape[1]] = bias
        out = self._layer(
            hidden_states=z[None],
            position_embeddings=(self._cos[:, at], self._sin[:, at]),
            attention_mask=mask[None, None],
            past_key_values=SpanCache(cache, self._index, span),
        )
        return out[0]


class SpanCache:
    """What transformers' attention asks of a cache, for one span of one sequence."""

    def __init__(self, cache: KVCache, layer: int, span: Span):
        first = span.slot * cache.slot_len
        self._rows, self._span = cache.layers[layer][first : first + cache.slot_len], span

    def update(self, keys: Tensor, values: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Store the span's [1, heads, length, D] and return those of all positions up to its end."""
        start, end = self._span.start, self._span.start + self._span.length
        first = 0
        found = []
        for part in (keys, values):
            heads, width = part.shape[1], part.shape[3]
            columns = slice(first, first + heads * width)
            self._rows[start:end, columns] = part[0].transpose(0, 1).flatten(1)
            found.append(self._rows[:end, columns].view(1, end, heads, width).transpose(1, 2))
            first += heads * width
        return found[0], found[1]


def cache_heads(kind: PublishedBlock, raw: Mapping[str, Any]) -> tuple[int, int]:
    """Heads and their width such that keys and values of that shape make rows wide enough for this block."""
    if raw.get("kv_lora_rank"):
        return 1, (raw["kv_lora_rank"] + raw["qk_rope_head_dim"] + 1) // 2
    heads = raw["num_attention_heads"]
    return raw.get("num_key_value_heads") or heads, raw.get("head_dim") or raw["hidden_size"] // heads
