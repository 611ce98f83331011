"""Attention of a ragged step over the cache.

A step holds spans: runs of new rows, one per sequence. Short spans (decoding) share one padded call over neighbouring
slots; a long span (a prefill chunk) has a call of its own. The rows of a tree see what is above them, not what is
before them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from engine.models.kv_cache import KVCache
from engine.tree.masks import MAX_FED, seen_nodes


class Nodes(NamedTuple):
    """Where rows belong in a tree whose root is the cache row `base`; node i is the row base + 1 + i.

    masks[j]: bit i is set where row j sees node i, itself included; 0 for the root. All rows see the rows up to the
    root. The position of a row is that of the root plus its depth, the number of nodes that it sees.
    """

    base: int
    masks: tuple[int, ...]

    @property
    def positions(self) -> list[int]:
        return [self.base + mask.bit_count() for mask in self.masks]


class Span(NamedTuple):
    """`length` new rows of one sequence in the cache rows start, start + 1, ... of `slot`.

    Without a tree these are their positions too.
    """

    slot: int
    start: int
    length: int
    tree: Nodes | None = None

    @property
    def positions(self) -> Sequence[int]:
        return range(self.start, self.start + self.length) if self.tree is None else self.tree.positions


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
        self._ramp = torch.arange(max_model_len + MAX_FED, device=device)
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
        is_dense = num_rows == num_slots * query_len
        if is_dense and not any(span.tree for span in spans):
            return self._group(0, num_rows, first, spans)
        return self._padded(first, num_slots, query_len, None if is_dense else num_rows, spans)

    def _padded(self, first: int, num_slots: int, query_len: int, num_rows: int | None, spans: Sequence[Span]) -> Group:
        """num_rows is None where no padding is needed."""
        size = num_slots * query_len
        pad, last, positions, row = [0] * size, [0] * size, [0] * size, 0
        unpad: list[int] = []
        for span in spans:
            place = (span.slot - first) * query_len
            rows = slice(place, place + span.length)
            pad[rows] = range(row, row + span.length)
            positions[rows] = span.positions
            last[rows] = [span.tree.base] * span.length if span.tree else positions[rows]
            unpad += range(place, place + span.length)
            row += span.length
        kv_len = max(span.start + span.length for span in spans)
        shape = (num_slots, query_len)
        masks = self._masks(self._tensor(last).view(shape), kv_len, self._tensor(positions).view(shape))
        self._open_trees(masks, first, spans)
        if num_rows is None:
            return Group(0, size, first, num_slots, query_len, kv_len, masks, None, None)
        return Group(0, num_rows, first, num_slots, query_len, kv_len, masks, self._tensor(pad), self._tensor(unpad))

    def _open_trees(self, masks: dict[int | None, Tensor | None], first: int, spans: Sequence[Span]) -> None:
        """Let the rows of trees see the nodes above them; until now they see what is before the tree, and the root."""
        for span in spans:
            if span.tree is None or not any(span.tree.masks):
                continue
            begin = span.tree.base + 1
            for window, mask in masks.items():
                bias = tree_bias(span.tree.masks, window, self._dtype, self._device)
                assert mask is not None
                mask[span.slot - first, 0, : span.length, begin : begin + bias.shape[1]] = bias

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

    def _masks(self, last: Tensor, kv_len: int, positions: Tensor | None = None) -> dict[int | None, Tensor | None]:
        """last [slots, query_len] -> a row sees the cache rows up to `last`, inside the window before its position."""
        keys = self._ramp[:kv_len]
        ahead = keys > last[:, None, :, None]
        positions = last if positions is None else positions
        masks: dict[int | None, Tensor | None] = {}
        for window in self._windows:
            hidden = ahead if window is None else ahead | (keys <= positions[:, None, :, None] - window)
            masks[window] = torch.zeros(hidden.shape, dtype=self._dtype, device=self._device).masked_fill_(
                hidden, float("-inf")
            )
        return masks

    def _tensor(self, values: list[int]) -> Tensor:
        return torch.tensor(values, device=self._device)


@lru_cache(maxsize=1024)
def tree_bias(masks: tuple[int, ...], window: int | None, dtype: torch.dtype, device: torch.device) -> Tensor:
    """[rows, nodes] additive: 0 where a row sees a node, -inf elsewhere. A window hides what is far above.

    The depth of a node above a row is the number of nodes that the row sees up to it.
    """
    seen = seen_nodes(masks).to(device)
    if window is not None:
        depths = seen.cumsum(1)
        seen &= depths > depths[:, -1:] - window
    return torch.zeros(seen.shape, dtype=dtype, device=device).masked_fill_(~seen, float("-inf"))


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
