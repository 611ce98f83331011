"""A program per sequence."""

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.draft_inputs.reference import DraftInputs


def draft_inputs(
    paths: Tensor, emitted: Tensor, num_accepted: Tensor, starts: Tensor, slots: Tensor, num_rows: int, slot_len: int
) -> DraftInputs:
    """See reference.draft_inputs. The tensors are contiguous."""
    batch, width = emitted.shape
    sizes = [(batch, width)] * 4 + [(batch,)] * 5
    out = DraftInputs(*(torch.empty(size, dtype=torch.int64, device=emitted.device) for size in sizes))
    given = (paths, emitted, num_accepted, starts, slots)
    _lay_out[(batch,)](*given, *out, num_rows, slot_len, width, WIDTH=triton.next_power_of_2(width), num_warps=1)
    return out


@triton.jit
def _lay_out(
    paths, emitted, num_accepted, starts, slots,
    tokens, rows, positions, places, counts, last, last_rows, roots, next_starts,
    num_rows, slot_len, width, WIDTH: tl.constexpr,
):  # fmt: skip
    sequence, j = tl.program_id(0).to(tl.int64), tl.arange(0, WIDTH)
    count = tl.load(num_accepted + sequence) + 1
    start, slot = tl.load(starts + sequence), tl.load(slots + sequence)
    is_pair, inside = j < count, j < width
    token = tl.load(emitted + sequence * width + j, mask=is_pair, other=0)
    node = tl.load(paths + sequence * (width - 1) + j - 1, mask=is_pair & (j > 0), other=-1)
    row = sequence * num_rows + 1 + node
    position = start + tl.where(is_pair, j, 0)
    place = tl.where(is_pair, slot * slot_len + position, -1)
    at = sequence * width + j
    tl.store(tokens + at, token, mask=inside)
    tl.store(rows + at, row, mask=inside)
    tl.store(positions + at, position, mask=inside)
    tl.store(places + at, place, mask=inside)
    newest = tl.maximum(count - 1, 0)
    tl.store(counts + sequence, count)
    tl.store(last + sequence, sequence * width + newest)
    tl.store(last_rows + sequence, tl.sum(tl.where(j == newest, row, 0), 0))
    tl.store(roots + sequence, tl.sum(tl.where(j == newest, token, 0), 0))
    tl.store(next_starts + sequence, start + count)
