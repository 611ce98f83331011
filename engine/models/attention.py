"""Attention of a ragged step over the cache.

A step holds spans: runs of new rows, one per sequence. Short spans (decoding) share one padded call over neighbouring
slots; a long span (a prefill chunk) has a call of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from engine.models.kv_cache import KVCache


class Span(NamedTuple):
    """`length` new rows of one sequence at positions start, start + 1, ...; its keys and values live in `slot`."""

    slot: int
    start: int
    length: int


@dataclass(frozen=True, slots=True)
class Group:
    """Spans attended in one call: `num_rows` rows of the step from first_row on, padded to [num_slots, query_len]."""

    first_row: int
    num_rows: int
    first_slot: int
    num_slots: int
    query_len: int
    kv_len: int
    masks: dict[int | None, Tensor | None]  # by sliding window; additive, [num_slots, 1, query_len, kv_len]
    pad: Tensor | None  # [num_slots * query_len] the group's row at every padded place; None: already dense
    unpad: Tensor | None  # [num_rows] the padded place of every row


class Planner:
    """Turns the spans of a step into groups. Holds the position ramp that masks are compared with."""

    def __init__(self, max_model_len: int, windows: Sequence[int | None], dtype: torch.dtype, device: torch.device):
        self._ramp = torch.arange(max_model_len, device=device)
        self._windows = sorted(set(windows), key=lambda window: window or 0)
        self._dtype = dtype
        self._device = device

    def groups(self, short: Sequence[Span], long: Sequence[Span]) -> list[Group]:
        """`short` rows come first in the step, ordered by slot; every span of `long` follows."""
        groups, row = [], 0
        if short:
            groups.append(self._short_group(short))
            row = groups[0].num_rows
        for span in long:
            groups.append(self._group(row, span.length, span.slot, [span]))
            row += span.length
        return groups

    def _short_group(self, spans: Sequence[Span]) -> Group:
        first = spans[0].slot
        num_slots = spans[-1].slot - first + 1
        num_rows = sum(span.length for span in spans)
        query_len = max(span.length for span in spans)
        if num_rows == num_slots * query_len:
            return self._group(0, num_rows, first, spans)
        return self._padded(first, num_slots, query_len, num_rows, spans)

    def _padded(self, first: int, num_slots: int, query_len: int, num_rows: int, spans: Sequence[Span]) -> Group:
        pad, positions, unpad, row = [0] * (num_slots * query_len), [0] * (num_slots * query_len), [], 0
        for span in spans:
            place = (span.slot - first) * query_len
            for j in range(span.length):
                pad[place + j] = row
                positions[place + j] = span.start + j
                unpad.append(place + j)
                row += 1
        kv_len = max(span.start + span.length for span in spans)
        grid = self._tensor(positions).view(num_slots, query_len)
        masks = self._masks(grid, kv_len)
        return Group(0, num_rows, first, num_slots, query_len, kv_len, masks, self._tensor(pad), self._tensor(unpad))

    def _group(self, row: int, num_rows: int, first_slot: int, spans: Sequence[Span]) -> Group:
        query_len = spans[0].length
        kv_len = max(span.start + query_len for span in spans)
        masks: dict[int | None, Tensor | None]
        if len(spans) == 1 and query_len == 1 and self._windows == [None]:
            masks = {None: None}
        else:
            starts = self._tensor([span.start for span in spans])
            masks = self._masks(starts[:, None] + self._ramp[:query_len], kv_len)
        return Group(row, num_rows, first_slot, len(spans), query_len, kv_len, masks, None, None)

    def _masks(self, positions: Tensor, kv_len: int) -> dict[int | None, Tensor | None]:
        """positions [slots, query_len] -> a row sees itself and what lies before it, inside the window."""
        keys = self._ramp[:kv_len]
        ahead = keys > positions[:, None, :, None]
        masks: dict[int | None, Tensor | None] = {}
        for window in self._windows:
            hidden = ahead if window is None else ahead | (keys <= positions[:, None, :, None] - window)
            masks[window] = torch.zeros(hidden.shape, dtype=self._dtype, device=self._device).masked_fill_(
                hidden, float("-inf")
            )
        return masks

    def _tensor(self, values: list[int]) -> Tensor:
        return torch.tensor(values, device=self._device)


def attend(
    query: Tensor, cache: KVCache, layer: int, groups: Sequence[Group], window: int | None, head_dim: int
) -> Tensor:
    """query [rows, heads * D] -> [rows, heads * D]."""
    if len(groups) == 1:
        return _attend_group(query, cache, layer, groups[0], window, head_dim)
    parts = []
    for group in groups:
        rows = query[group.first_row : group.first_row + group.num_rows]
        parts.append(_attend_group(rows, cache, layer, group, window, head_dim))
    return torch.cat(parts)


def _attend_group(query: Tensor, cache: KVCache, layer: int, group: Group, window: int | None, head_dim: int) -> Tensor:
    width = query.shape[1]
    if group.pad is not None:
        query = query.index_select(0, group.pad)
    shaped = query.view(group.num_slots, group.query_len, -1, head_dim).transpose(1, 2)
    keys, values = cache.view(layer, group.first_slot, group.num_slots, group.kv_len)
    out = scaled_dot_product_attention(shaped, keys, values, attn_mask=group.masks[window], enable_gqa=True)
    out = out.transpose(1, 2).reshape(-1, width)
    return out if group.unpad is None else out.index_select(0, group.unpad)
