"""What min_p, top_k and top_p drop, as functions of tensors: the host and captured steps share them."""

import torch
from torch import Tensor

DROPPED = float("-inf")
AT_ONCE = 64  # rows: sorting takes many times the memory of the logits


def tempered(logits: Tensor, temperatures: Tensor) -> Tensor:
    """logits [n, V] divided by temperatures [n, 1], float64; those of greedy requests as they are."""
    return logits.double() / temperatures.where(temperatures > 0, 1.0)


def per_row(values: Tensor, rows: int) -> Tensor:
    """[B] of sequences -> [B * rows, 1] of their rows."""
    return values[:, None].expand(-1, rows).reshape(-1, 1)


def drop_unlikely(logits: Tensor, min_p: Tensor) -> Tensor:
    """logits [n, V] float64, divided by temperature; min_p [n, 1]: the least share of the highest chance, 0 is off."""
    floor = logits.max(-1, keepdim=True).values + min_p.log()
    return logits.masked_fill(logits < floor, DROPPED)


def keep_top(logits: Tensor, top_k: Tensor, top_p: Tensor) -> Tensor:
    """Keep the k largest, then the smallest set of the rest whose mass reaches p (the token that crosses p stays).

    logits [n, V] float64, divided by temperature; top_k and top_p [n, 1], off at V and 1.
    """
    ordered, order = logits.sort(-1, descending=True)
    ordered = ordered.masked_fill(torch.arange(logits.shape[1], device=logits.device) >= top_k, DROPPED)
    probs = ordered.softmax(-1)
    before = probs.cumsum(-1) - probs
    ordered = ordered.masked_fill(before >= top_p, DROPPED)
    return torch.full_like(logits, DROPPED).scatter_(1, order, ordered)


def keep_all(logits: Tensor, min_p: Tensor, top_k: Tensor, top_p: Tensor) -> Tensor:
    """All three, some rows at a time."""
    given = zip(*(each.split(AT_ONCE) for each in (logits, min_p, top_k, top_p)), strict=True)
    return torch.cat([keep_top(drop_unlikely(rows, least), k, p) for rows, least, k, p in given])
