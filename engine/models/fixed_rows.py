"""Decoding rows of a step whose shape is fixed: the same said in tensors that short spans say in lists.

Nothing of it comes from the host while a step runs, so a step over such rows can be one CUDA graph.
"""

from typing import NamedTuple

from torch import Tensor

from engine.models.step_tensors import DecodingRows, FusedStep


class FixedRows(NamedTuple):
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


def fixed_step(given: FixedRows, slot_len: int, rotations: Tensor) -> FusedStep:
    """The step over a cache of slots of slot_len rows; rotations [positions, D / 2] complex."""
    batch, q_len = given.rows.shape
    inside = (given.rows >= 0) & (given.rows < slot_len)
    places = (given.slots[:, None] * slot_len + given.rows).where(inside, -1)
    positions = given.positions.clamp(0, rotations.shape[0] - 1)
    table, prefix = given.slots.view(batch, 1), given.prefix.clamp(0, slot_len)
    rows = DecodingRows(batch * q_len, q_len, table, prefix, given.lengths, given.masks, None, None)
    return FusedStep(places.flatten(), positions.flatten(), rotations, rows, [])
