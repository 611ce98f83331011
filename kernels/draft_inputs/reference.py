"""Plain torch: the specification of the kernel.

A head reads pairs (next token, the target's state before it); pair (x_{i+1}, h_i) sits at position i of its cache. A
step makes the pairs of its root and of the accepted nodes final: 1 + accepted of the 1 + D that there is room for.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class DraftInputs(NamedTuple):
    """int64. W = 1 + D; pair j of sequence b is row b * W + j of the head's step. Padding takes a valid token, row and
    position, and the place -1: nowhere.

    tokens     [B, W] x_{i+1}; padding 0
    rows       [B, W] the row of the target's step that holds h_i; padding: the root's
    positions  [B, W] i; padding: the root's
    places     [B, W] slot * slot_len + i, the row of the head's cache
    counts     [B] pairs that count; 0: there is no such sequence
    last       [B] the head's row whose output starts the next draft: of the last pair
    last_rows  [B] the row of the target's step that the last pair reads, for heads that read nothing else
    roots      [B] the newest token: the root of the next step
    starts     [B] the position of that root
    """

    tokens: Tensor
    rows: Tensor
    positions: Tensor
    places: Tensor
    counts: Tensor
    last: Tensor
    last_rows: Tensor
    roots: Tensor
    starts: Tensor


def draft_inputs(
    paths: Tensor, emitted: Tensor, num_accepted: Tensor, starts: Tensor, slots: Tensor, num_rows: int, slot_len: int
) -> DraftInputs:
    """paths [B, D], emitted [B, 1 + D] and num_accepted [B] as `verify` gives them; starts [B]: the roots' positions.

    num_rows: what a sequence has in the target's step, its root's row first, then its nodes'.
    """
    batch, width = emitted.shape
    j = torch.arange(width, device=emitted.device)
    counts, first = num_accepted + 1, torch.arange(batch, device=emitted.device) * num_rows
    is_pair = j < counts[:, None]
    nodes = torch.cat([paths.new_full((batch, 1), -1), paths], 1)
    rows = first[:, None] + (1 + nodes).where(is_pair, 0)
    positions = starts[:, None] + j.where(is_pair, 0)
    newest = num_accepted.clamp_min(0)[:, None]
    return DraftInputs(
        tokens=emitted.where(is_pair, 0),
        rows=rows,
        positions=positions,
        places=(slots[:, None] * slot_len + positions).where(is_pair, -1),
        counts=counts,
        last=torch.arange(batch, device=emitted.device) * width + newest[:, 0],
        last_rows=rows.gather(1, newest)[:, 0],
        roots=emitted.gather(1, newest)[:, 0].clamp_min(0),
        starts=starts + counts,
    )
