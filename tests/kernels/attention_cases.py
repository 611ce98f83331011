"""Inputs for the attention tests: ragged batches over a cache whose unused rows are NaN."""

from random import Random
from typing import NamedTuple

import torch
from kernel_checks import DEVICE, random, unwritten
from torch import Tensor


class Case(NamedTuple):
    """Arguments of `attend` in their order; `rows`, [batch, kv_len], tells where a sequence's rows lie."""

    query: Tensor
    cache: Tensor
    table: Tensor
    prefix: Tensor
    lengths: Tensor
    masks: Tensor | None
    scale: float
    block_len: int
    window: int | None = None


def random_masks(lengths: list[int], q_len: int, seed: int, words: int = 1) -> Tensor:
    """[batch, q_len], or with two words: a root and nodes whose parents are drawn. Rows beyond a length are garbage."""
    draw = Random(seed)
    masks = torch.full((len(lengths), q_len, words), -1, dtype=torch.int64)
    for sequence, length in enumerate(lengths):
        seen = [0]
        for row in range(1, length):
            seen.append(seen[draw.randrange(row)] | 1 << (row - 1))
        halves = [[signed(mask >> 64 * word) for word in range(words)] for mask in seen[:length]]
        masks[sequence, :length] = torch.tensor(halves, dtype=torch.int64).view(length, words)
    return masks.squeeze(2)


def signed(bits: int) -> int:
    """The lowest 64 bits as an int64."""
    return (bits + 2**63) % 2**64 - 2**63


def case(
    q_len: int,
    prefix: list[int],
    *,
    heads: tuple[int, int] = (4, 2),
    dim: int = 64,
    dtype: torch.dtype = torch.float32,
    tree: bool = False,
    block_len: int | None = None,
    window: int | None = None,
    seed: int = 0,
) -> Case:
    """A batch with the given prefixes. Sequence i has q_len - i valid rows, at least one; prefix 0 stands for none."""
    lengths = [max(q_len - i, 1) if base else 0 for i, base in enumerate(prefix)]
    slot_len = max(prefix) + q_len + 3
    width = 2 * heads[1] * dim
    size = block_len or slot_len
    blocks = -(-slot_len // size)
    order = torch.randperm(len(prefix) * blocks, generator=torch.Generator().manual_seed(seed)).view(-1, blocks)
    cache = unwritten(len(prefix) * blocks * size, width, dtype=dtype)
    for sequence, (base, length) in enumerate(zip(prefix, lengths, strict=True)):
        row = torch.arange(base + length - 1 if length else 0)
        cache[order[sequence, row // size] * size + row % size] = random(
            len(row), width, dtype=dtype, seed=seed + sequence
        )
    query = unwritten(len(prefix), q_len, heads[0], dim, dtype=dtype)
    for sequence, length in enumerate(lengths):
        query[sequence, :length] = random(length, heads[0], dim, dtype=dtype, seed=seed + 100 + sequence)
    masks = random_masks(lengths, q_len, seed, words=1 if q_len <= 65 else 2).to(DEVICE) if tree else None
    index = torch.tensor([[base or -7, length] for base, length in zip(prefix, lengths, strict=True)], device=DEVICE)
    table = order.to(DEVICE, torch.int32)
    return Case(query, cache, table, index[:, 0], index[:, 1], masks, dim**-0.5, size, window)
