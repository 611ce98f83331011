"""The tensors of a layer as one process needs them, under the names and in the shapes of a narrower layer."""

from typing import NamedTuple

import torch
from torch import Tensor

from engine.errors import ConfigError
from engine.models.config import DecoderConfig
from engine.models.loader import Weights
from engine.models.tensor_files import Part

BY_ROWS = ("q_proj.weight", "q_proj.bias", "gate_proj.weight", "gate_proj.bias", "up_proj.weight", "up_proj.bias")
KEYS_AND_VALUES = ("k_proj.weight", "k_proj.bias", "v_proj.weight", "v_proj.bias")
BY_COLUMNS = ("o_proj.weight", "down_proj.weight")
ADDED_ONCE = ("o_proj.bias", "down_proj.bias")


class Cut(NamedTuple):
    """Part `place` of `parts` equal ones along `dim`."""

    dim: int
    place: int
    parts: int


class LayerPart(Weights):
    """Hands out part `rank` of `size`: query heads, key-value heads and columns of the feed-forward network.

    Where there are fewer key-value heads than processes, neighbours have the same one. Biases of what is added up are
    zero everywhere but at rank 0.
    """

    def __init__(self, weights: Weights, config: DecoderConfig, rank: int, size: int):
        self.folder = weights.folder
        self._weights, self._rank = weights, rank
        self._parts = Cut(0, rank, size)
        kv_parts = min(config.num_kv_heads, size)
        self._kv_parts = Cut(0, rank * kv_parts // size, kv_parts)

    def names(self) -> list[str]:
        return self._weights.names()

    def has(self, name: str) -> bool:
        return self._weights.has(name)

    def shape(self, name: str) -> tuple[int, ...]:
        """Of the whole tensor."""
        return self._weights.shape(name)

    def take(
        self,
        name: str,
        shape: tuple[int, ...],
        dtype: torch.dtype,
        device: torch.device,
        part: Part | None = None,
        into: Tensor | None = None,
    ) -> Tensor:
        """See Weights.take; `shape` is that of this process's part, and no other is read."""
        assert part is None, "the part is chosen here"
        cut = self._cut(name)
        if cut is None:
            whole = self._weights.take(name, shape, dtype, device, into=into)
            return torch.zeros_like(whole) if self._rank and name.endswith(ADDED_ONCE) else whole
        size, before = shape[cut.dim], shape[: cut.dim]
        whole_shape = (*before, size * cut.parts, *shape[cut.dim + 1 :])
        mine = (*(slice(None) for _ in before), slice(cut.place * size, (cut.place + 1) * size))
        return self._weights.take(name, whole_shape, dtype, device, mine, into)

    def _cut(self, name: str) -> Cut | None:
        if name.endswith(KEYS_AND_VALUES):
            return self._kv_parts
        if name.endswith(BY_COLUMNS):
            return self._parts._replace(dim=1)
        return self._parts if name.endswith(BY_ROWS) else None


def refuse_uneven(config: DecoderConfig, size: int) -> None:
    """ConfigError unless heads and columns can be dealt out to `size` processes."""
    heads, kv_heads, inner = config.num_heads, config.num_kv_heads, config.intermediate_size
    if heads % size or inner % size or (kv_heads % size and size % kv_heads):
        raise ConfigError(
            f"{size} processes cannot share num_attention_heads={heads}, num_key_value_heads={kv_heads} and "
            f"intermediate_size={inner} evenly: lower tensor_parallel_size, or give draft_tensor_parallel_size=1 "
            "where it is the draft that has them"
        )
