"""What a configuration needs: weights and cache of the target, and what the draft adds. GiB."""

from __future__ import annotations

from dataclasses import dataclass

from autotune.recommend.rules import Draft, Guide
from autotune.recommend.shape import Shape

GIB = 2**30


@dataclass(frozen=True)
class Memory:
    """`cache` holds as many requests at once as the load has, each of `context_tokens`."""

    weights: float
    cache: float
    draft: float

    @property
    def total(self) -> float:
        return self.weights + self.cache + self.draft


def memory(target: Shape, adds: Draft, own: Shape | None, guide: Guide, requests: int) -> Memory | None:
    """None where the draft is a model of unknown size."""
    if adds.own and own is None:
        return None
    tokens, width = requests * guide.context_tokens, guide.bytes_per_number
    if adds.own and own is not None:
        draft = own.parameters + _cache(own.layers, own.kv, tokens)
    else:
        draft = _head(target, adds) + _cache(adds.caches, target.kv, tokens)
    return Memory(
        weights=target.parameters * width / GIB,
        cache=_cache(target.layers, target.kv, tokens) * width / GIB,
        draft=draft * width / GIB,
    )


def _head(target: Shape, adds: Draft) -> float:
    """Numbers in a draft head's weights, by what it is made of."""
    squares, words = adds.hidden * target.hidden**2, adds.vocab * target.hidden * target.vocab
    return adds.layers * target.layer_parameters + squares + words


def _cache(layers: int, kv: int, tokens: int) -> float:
    return float(layers * kv * tokens)
