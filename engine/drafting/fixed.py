"""Drafting in fixed shapes: what a proposer offers that can be captured in a CUDA graph, and what it gets.

Everything is in tensors that stay where they are; nothing comes from the host and nothing goes there while it runs.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from engine import sequence as running
from engine.drafting.chains import Stepper
from engine.models.decoder import TargetOutput
from engine.models.fixed_rows import FixedRows, Grid, Ladder, Rung


class Roots(NamedTuple):
    """The sequences of a step, [B] each, int64 but for the temperatures.

    slots         0 where there is no sequence
    states        the row of tensors by slot that is theirs: the slot, or a last row of nobody's
    tokens        the newest, whose position is starts
    before        the one before it
    starts        positions of the newest tokens
    lengths       1; 0: no such sequence
    seeds         of the requests
    temperatures  float64, 0 is greedy
    """

    slots: Tensor
    states: Tensor
    tokens: Tensor
    before: Tensor
    starts: Tensor
    lengths: Tensor
    seeds: Tensor
    temperatures: Tensor

    def chain(self, count: int) -> Grid:
        """`count` rows from the root on."""
        rows = self._rows(0, count)
        return Grid(self.slots, self._there(rows), rows, self.starts + 1, self.lengths * count)

    def level(self, first: int, depth: int, masks: Tensor) -> Grid:
        """Nodes at `depth` (of the root: 0), in the rows from `first` rows after the root on.

        masks [count, words], or [B, count, words], are of nodes that follow the root's row.
        """
        count, batch = masks.shape[-2], len(self.slots)
        rows, positions = self._rows(first, count), (self.starts + depth)[:, None].expand(-1, count)
        wide = masks.expand(batch, *masks.shape[-2:]).contiguous()
        return Grid(self.slots, self._there(rows), positions, self.starts + 1, self.lengths * count, wide)

    def _rows(self, first: int, count: int) -> Tensor:
        return self.starts[:, None] + (first + torch.arange(count, device=self.starts.device))

    def _there(self, rows: Tensor) -> Tensor:
        return rows.where(self.lengths[:, None] > 0, -1)

    def shifted(self, shift: int) -> "Roots":
        """The same for a cache in which the newest token is `shift` positions further on."""
        return self._replace(starts=self.starts + shift)


class Rungs:
    """The levels of a chain: whichever position its network begins at, all of them are worked out together."""

    def __init__(self, roots: Roots, count: int):
        self._roots, self._count = roots, count
        self._ladders: dict[int, Ladder] = {}

    def level(self, depth: int) -> "RungLevel":
        return RungLevel(self, depth)

    def rung(self, shift: int, depth: int) -> Rung:
        """See Level.spans."""
        if shift not in self._ladders:
            roots = self._roots
            starts = roots.starts + (1 + shift)
            self._ladders[shift] = Ladder(roots.slots, starts, roots.lengths, self._count)
        return Rung(self._ladders[shift], depth)


class RungLevel(NamedTuple):
    """`level.Level` of a chain in tensors: one row a sequence."""

    rungs: Rungs
    depth: int

    def spans(self, shift: int) -> FixedRows:
        """See Level.spans."""
        return self.rungs.rung(shift, self.depth)


class FixedLevel(NamedTuple):
    """`level.Level` of trees in tensors. first: rows fed before, the root's left out; masks as of Roots.level."""

    roots: Roots
    depth: int
    first: int
    masks: Tensor

    def spans(self, shift: int) -> FixedRows:
        """See Level.spans."""
        return self.roots.shifted(shift).level(1 + self.first, 1 + self.depth, self.masks)


class Verified(NamedTuple):
    """What became of the drafts, as kernels/verify gives it: paths [B, D], emitted [B, 1 + D], num_accepted [B]."""

    paths: Tensor
    emitted: Tensor
    num_accepted: Tensor


class FixedProposer(Protocol):
    """A proposer whose draft loop can be captured. All but the methods named `host_` run inside of graphs."""

    def fixed_stepper(self, roots: Roots) -> Stepper:
        """Ready to give the logits [B, V] of every sequence's first drafted token."""

    def take_in(self, roots: Roots, verified: Verified, output: TargetOutput, num_rows: int) -> None:
        """What a step of num_rows rows a sequence made final: `observe` on the device."""

    def host_ready(self, sequences: Sequence["running.Sequence"], limits: Sequence[int]) -> bool:
        """Whether these can be drafted for in fixed shapes now."""

    def host_drafted(self, sequences: Sequence["running.Sequence"], batch: int, depth: int) -> None:
        """A fixed draft of `depth` levels was made for `batch` rows, of which these are sequences."""

    def host_taken_in(self, rows: int) -> None:
        """`take_in` computed this many rows."""
