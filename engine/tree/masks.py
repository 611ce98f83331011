"""Ancestor masks as tensors: one int64 a node instead of a row of a matrix, for the reference and for kernels alike."""

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from engine.tree.literal import MAX_NODES

NUM_BITS = 64  # nodes that a word of a mask can speak of
MAX_FED = 2 * MAX_NODES  # nodes that a draft network may take in for one tree: more are grown than are verified


def ancestor_masks(ancestors: Sequence[int], device: torch.device | None = None) -> Tensor:
    """[N] int64 of the masks of `flat.ancestors`. Bit 63 is the sign, so shift and test a bit, never compare."""
    whole = 1 << MAX_NODES
    return torch.tensor([mask - whole if mask >> 63 else mask for mask in ancestors], dtype=torch.int64, device=device)


def words_of(mask: int, count: int) -> list[int]:
    """`count` words of 64 bits as int64, so bit 63 is the sign; the first nodes first."""
    words = [mask >> NUM_BITS * i & (1 << NUM_BITS) - 1 for i in range(count)]
    return [word - (word >> NUM_BITS - 1 << NUM_BITS) for word in words]


def num_words(masks: Iterable[int]) -> int:
    """How many words the longest of these masks takes, at least one."""
    return words_for(max((mask.bit_length() for mask in masks), default=0))


def words_for(num_nodes: int) -> int:
    """How many words masks of so many nodes take, at least one."""
    return max(-(-num_nodes // NUM_BITS), 1)


def mask_words(masks: Sequence[int], device: torch.device | None = None) -> Tensor:
    """[N, words] int64."""
    count = num_words(masks)
    return torch.tensor([words_of(mask, count) for mask in masks], dtype=torch.int64, device=device)


def visible(masks: Tensor, num_keys: int) -> Tensor:
    """masks [..., N] -> bool [..., N, num_keys], num_keys <= 64: a node of a tree sees itself and what is above it."""
    bits = torch.arange(num_keys, device=masks.device)
    return ((masks[..., None] >> bits) & 1).bool()


def seen_nodes(masks: Sequence[int]) -> Tensor:
    """bool [N, nodes] of masks of any length: which nodes a row sees, up to the last that any of them does."""
    width = max(mask.bit_length() for mask in masks)
    num_bytes = (width + 7) // 8
    packed = np.frombuffer(b"".join(mask.to_bytes(num_bytes, "little") for mask in masks), dtype=np.uint8)
    bits = np.unpackbits(packed.reshape(len(masks), num_bytes), axis=1, count=width, bitorder="little")
    return torch.from_numpy(bits).bool()
