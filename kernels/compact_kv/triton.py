"""One launch for all layers: a program moves a strip of columns of one path in one layer."""

from collections.abc import Sequence

import triton
import triton.language as tl
from torch import Tensor

TILE = 4096  # 32-bit words a program holds between reading and writing: 32 registers a thread with four warps


def compact(layers: Sequence[Tensor], table: Tensor, source: Tensor, goal: Tensor, counts: Tensor) -> None:
    """See reference.compact. `table` is op.addresses(layers)."""
    words = layers[0].shape[1] * layers[0].element_size() // 4
    batch, max_path = source.shape
    block_path = triton.next_power_of_2(max_path)
    block = min(triton.next_power_of_2(words), max(TILE // block_path, 32))
    grid = (triton.cdiv(words, block), batch, len(layers))
    _compact[grid](table, source, goal, counts, words, max_path, PATH=block_path, BLOCK=block, num_warps=4)


@triton.jit
def _compact(table, source, goal, counts, words, max_path, PATH: tl.constexpr, BLOCK: tl.constexpr):
    """Read the whole strip, wait for all threads, write it: whatever order the rows are in."""
    path = tl.program_id(1)
    count = tl.load(counts + path)
    step = tl.arange(0, PATH)
    taken = tl.load(source + path * max_path + step, mask=step < count, other=0).to(tl.int64)
    given = tl.load(goal + path * max_path + step, mask=step < count, other=0).to(tl.int64)
    column = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    moved = (taken != given)[:, None] & (column < words)[None, :]
    layer = tl.multiple_of(tl.load(table + tl.program_id(2)).to(tl.pointer_type(tl.int32)), 16)
    rows = tl.load(layer + taken[:, None] * words + column[None, :], mask=moved, other=0)
    tl.debug_barrier()
    tl.store(layer + given[:, None] * words + column[None, :], rows, mask=moved)
