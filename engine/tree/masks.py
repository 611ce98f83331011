"""Ancestor masks as tensors: one int64 a node instead of a row of a matrix, for the reference and for kernels alike."""

from collections.abc import Sequence

import torch
from torch import Tensor

from engine.tree.literal import MAX_NODES


def ancestor_masks(ancestors: Sequence[int], device: torch.device | None = None) -> Tensor:
    """[N] int64 of the masks of `flat.ancestors`. Bit 63 is the sign, so shift and test a bit, never compare."""
    whole = 1 << MAX_NODES
    return torch.tensor([mask - whole if mask >> 63 else mask for mask in ancestors], dtype=torch.int64, device=device)


def visible(masks: Tensor, num_keys: int) -> Tensor:
    """masks [..., N] -> bool [..., N, num_keys], num_keys <= 64: a node of a tree sees itself and what is above it."""
    bits = torch.arange(num_keys, device=masks.device)
    return ((masks[..., None] >> bits) & 1).bool()
