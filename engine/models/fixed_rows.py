"""Decoding rows of a step whose shape is fixed: the same said in tensors that short spans say in lists.

Nothing of it comes from the host while a step runs, so a step over such rows can be one CUDA graph.
"""

from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from engine.models.step_tensors import DecodingRows, FusedStep


class FixedRows(Protocol):
    """What a fused stack makes its step of."""

    def step(self, slot_len: int, rotations: Tensor) -> FusedStep:
        """Over a cache of slots of slot_len rows; rotations [positions, D / 2] complex."""


@dataclass(frozen=True, slots=True)
class Grid(FixedRows):
    """B sequences of Q rows each, int64 on the device. See kernels/tree_attention for prefix to masks.

    slots      [B]
    rows       [B, Q] where in its slot a row's key and value go; below 0 or beyond the slot: nowhere
    positions  [B, Q]; beyond the model's positions: the last
    prefix     [B] how many rows of the slot all its rows see
    lengths    [B] rows that count, the first ones; 0: no such sequence
    masks      [B, Q, words]; None: chains
    """

    slots: Tensor
    rows: Tensor
    positions: Tensor
    prefix: Tensor
    lengths: Tensor
    masks: Tensor | None = None

    def step(self, slot_len: int, rotations: Tensor) -> FusedStep:
        batch, q_len = self.rows.shape
        inside = (self.rows >= 0) & (self.rows < slot_len)
        places = (self.slots[:, None] * slot_len + self.rows).where(inside, -1)
        positions = self.positions.clamp(0, rotations.shape[0] - 1)
        table, prefix = self.slots.view(batch, 1), self.prefix.clamp(0, slot_len)
        rows = DecodingRows(batch * q_len, q_len, table, prefix, self.lengths, self.masks, None, None)
        return FusedStep(places.flatten(), positions.flatten(), rotations, rows, [])


@dataclass(slots=True)
class Ladder:
    """One row a sequence in each of several steps, one row further on every time: a draft loop over a chain.

    slots, starts, lengths [B]: the first step is at row and position `starts`. What the steps need is computed for all
    of them at once, and each takes its part.
    """

    slots: Tensor
    starts: Tensor
    lengths: Tensor
    count: int
    _steps: list[FusedStep] = field(default_factory=list)

    def step(self, number: int, slot_len: int, rotations: Tensor) -> FusedStep:
        """All are asked for the same cache."""
        if not self._steps:
            self._steps = self._all(slot_len, rotations)
        return self._steps[number]

    def _all(self, slot_len: int, rotations: Tensor) -> list[FusedStep]:
        batch = len(self.slots)
        rows = self.starts + torch.arange(self.count, device=self.starts.device)[:, None]
        there = (self.lengths > 0) & (rows < slot_len)
        places = (self.slots * slot_len + rows).where(there, -1)
        positions, prefix = rows.clamp(0, rotations.shape[0] - 1), (rows + 1).clamp(0, slot_len)
        table = self.slots.view(batch, 1)
        return [
            FusedStep(
                places[i], positions[i], rotations,
                DecodingRows(batch, 1, table, prefix[i], self.lengths, None, None, None), [],
            )
            for i in range(self.count)
        ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rung(FixedRows):
    """Step `number` of a ladder."""

    ladder: Ladder
    number: int

    def step(self, slot_len: int, rotations: Tensor) -> FusedStep:
        return self.ladder.step(self.number, slot_len, rotations)
