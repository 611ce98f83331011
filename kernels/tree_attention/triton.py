"""Flash decoding: programs share a sequence's context, and a second kernel joins their parts."""

from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

LOG2_E = 1.4426950408889634
TILE_BYTES = 16 * 1024  # of keys, and of values, that a program asks for at a time
PROGRAMS = 2  # a multiprocessor, at least: as many are wanted at once
MAX_SPLITS = 64


class Plan(NamedTuple):
    """What a launch is cut into: from shapes alone, so that it can be captured."""

    block_m: int
    block_n: int
    block_d: int
    m_blocks: int
    splits: int
    num_warps: int
    num_stages: int


def plan(rows: int, dim: int, itemsize: int, kv_len: int, sequences: int, processors: int, is_paged: bool) -> Plan:
    """`rows`: query rows times the heads of a group; `sequences`: batch times kv_heads.

    fp32 has no tensor cores: its operands sit in registers, so its tiles are the smallest. Through a block table a load
    waits for another, which takes two stages more for the same two tiles in flight.
    """
    is_exact = itemsize == 4
    block_d = triton.next_power_of_2(dim)
    block_m = min(max(triton.next_power_of_2(rows), 16), 16 if is_exact else 128 if dim <= 128 else 64)
    block_n = 16 if is_exact else min(max(TILE_BYTES // (block_d * itemsize), 16), 128)
    m_blocks = triton.cdiv(rows, block_m)
    wanted = max(PROGRAMS * processors // (sequences * m_blocks), 1)
    splits = min(wanted, triton.cdiv(kv_len, 2 * block_n), MAX_SPLITS)
    return Plan(block_m, block_n, block_d, m_blocks, splits, 8 if block_m * block_d > 8192 else 4, 5 if is_paged else 3)


def attend(
    query: Tensor,
    cache: Tensor,
    table: Tensor,
    prefix: Tensor,
    lengths: Tensor,
    masks: Tensor | None,
    scale: float,
    block_len: int,
    window: int | None = None,
    splits: int | None = None,
) -> Tensor:
    """See reference.attend."""
    batch, q_len, heads, dim = query.shape
    kv_heads = cache.shape[1] // (2 * dim)
    group, blocks = heads // kv_heads, table.shape[1]
    sizes = (q_len * group, dim, query.element_size(), blocks * block_len, batch * kv_heads)
    cut = plan(*sizes, processors(query), is_paged=blocks > 1)
    splits = splits or cut.splits
    out = torch.empty((batch, q_len, heads, dim), dtype=query.dtype, device=query.device)
    part = out
    weight = None
    if splits > 1:
        part = torch.empty((batch, splits, q_len, heads, dim), dtype=torch.float32, device=query.device)
        weight = torch.empty((batch, splits, q_len, heads), dtype=torch.float32, device=query.device)
    _attend[(cut.m_blocks * kv_heads, splits, batch)](
        query, cache, table.contiguous(), prefix.contiguous(), lengths.contiguous(),
        None if masks is None else masks.contiguous(), part, weight, scale * LOG2_E, window or 0,
        query.stride(0), query.stride(1), query.stride(2), q_len, blocks, block_len,
        HEADS=heads, GROUP=group, D=dim, BLOCK_D=cut.block_d, BLOCK_M=cut.block_m, BLOCK_N=cut.block_n,
        SPLITS=splits, BLOCK_LEN=block_len if blocks > 1 else 0, HAS_WINDOW=window is not None,
        WORDS=0 if masks is None else masks.numel() // (batch * q_len),
        PRECISION="ieee" if query.dtype == torch.float32 else "tf32",
        num_warps=cut.num_warps, num_stages=cut.num_stages,
    )  # fmt: skip
    if splits > 1:
        _join[(q_len * heads, batch)](
            part, weight, out, q_len * heads,
            D=dim, BLOCK_D=cut.block_d, SPLITS=splits, BLOCK_S=triton.next_power_of_2(splits), num_warps=4,
        )  # fmt: skip
    return out


def processors(tensor: Tensor) -> int:
    """Multiprocessors of a GPU; those of an H100 where there is none."""
    return torch.cuda.get_device_properties(tensor.device).multi_processor_count if tensor.is_cuda else 132


@triton.jit
def _num_set(bits):
    """Set bits of an int64, pairwise."""
    bits = bits - ((bits >> 1) & 0x5555555555555555)
    bits = (bits & 0x3333333333333333) + ((bits >> 2) & 0x3333333333333333)
    bits = (bits + (bits >> 4)) & 0x0F0F0F0F0F0F0F0F
    bits += bits >> 8
    bits += bits >> 16
    bits += bits >> 32
    return (bits & 127).to(tl.int32)


@triton.jit
def _num_up_to_last(bits):
    """The last set bit of an int64, counted from 1; bit 63 is the sign."""
    bits |= bits >> 1
    bits |= bits >> 2
    bits |= bits >> 4
    bits |= bits >> 8
    bits |= bits >> 16
    bits |= bits >> 32
    return _num_set(bits)


@triton.jit
def _attend(
    query, cache, table, prefix, lengths, masks, part, weight, scale, window,
    stride_batch, stride_row, stride_head, q_len, blocks, block_len,
    HEADS: tl.constexpr, GROUP: tl.constexpr, D: tl.constexpr,
    BLOCK_D: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, SPLITS: tl.constexpr,
    BLOCK_LEN: tl.constexpr, HAS_WINDOW: tl.constexpr, WORDS: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """The query rows of a group of heads, as many as BLOCK_M holds, over one split of a sequence's context.

    BLOCK_LEN is 0 where a sequence is one block; WORDS, of a mask, is 0 for a chain.
    """
    KV_HEADS: tl.constexpr = HEADS // GROUP
    kv_head = tl.program_id(0) % KV_HEADS
    split = tl.program_id(1)
    sequence = tl.program_id(2)
    base = tl.load(prefix + sequence).to(tl.int32)
    length = tl.load(lengths + sequence).to(tl.int32)

    m = (tl.program_id(0) // KV_HEADS) * BLOCK_M + tl.arange(0, BLOCK_M)
    row = m // GROUP
    head = kv_head * GROUP + m % GROUP
    is_row = row < length
    d = tl.arange(0, BLOCK_D)
    places = sequence.to(tl.int64) * stride_batch + row * stride_row + head * stride_head
    q = tl.load(query + places[:, None] + d[None, :], mask=is_row[:, None] & (d < D)[None, :], other=0.0)

    depth = tl.where(is_row, row, 0)
    nodes = depth
    low = depth.to(tl.int64)
    high = low
    if WORDS > 0:
        low = tl.load(masks + (sequence * q_len + row) * WORDS, mask=is_row, other=0)
        depth = _num_set(low)
        nodes = _num_up_to_last(low)
    if WORDS == 2:
        high = tl.load(masks + (sequence * q_len + row) * WORDS + 1, mask=is_row, other=0)
        depth += _num_set(high)
        nodes = tl.where(high == 0, nodes, 64 + _num_up_to_last(high))
    end = base + tl.max(nodes, 0)
    end = tl.where(tl.max(is_row.to(tl.int32), 0) > 0, end, 0)
    first = 0
    if HAS_WINDOW:
        first = tl.maximum(base - window, 0) // BLOCK_N
    share = tl.cdiv(tl.maximum(tl.cdiv(end, BLOCK_N) - first, 0), SPLITS)
    begin = (first + split * share) * BLOCK_N
    stop = tl.minimum(begin + share * BLOCK_N, end)

    width = 2 * KV_HEADS * D
    start = tl.load(table + sequence * blocks, mask=length > 0, other=0).to(tl.int64) * block_len
    columns = kv_head * D + d
    top = tl.full([BLOCK_M], float("-inf"), tl.float32)
    total = tl.zeros([BLOCK_M], tl.float32)
    acc = tl.zeros([BLOCK_M, BLOCK_D], tl.float32)
    for tile in range(begin, stop, BLOCK_N):
        n = tile + tl.arange(0, BLOCK_N)
        is_key = n < end
        if BLOCK_LEN > 0:
            block = tl.load(table + sequence * blocks + n // BLOCK_LEN, mask=is_key, other=0)
            place = block.to(tl.int64) * BLOCK_LEN + n % BLOCK_LEN
        else:
            place = start + n
        places_n = place[:, None] * width + columns[None, :]
        loaded = is_key[:, None] & (d < D)[None, :]
        k = tl.load(cache + places_n, mask=loaded, other=0.0)
        scores = tl.dot(q, tl.trans(k), input_precision=PRECISION) * scale
        node = n - base
        position = (node + 1)[None, :]
        if WORDS > 0:
            bit = tl.minimum(tl.maximum(node, 0), 64 * WORDS - 1).to(tl.int64)[None, :]
            word = low[:, None]
            if WORDS == 2:
                word = tl.where(bit < 64, low[:, None], high[:, None])
            seen = (node < 0)[None, :] | (((word >> (bit & 63)) & 1) != 0)
            if HAS_WINDOW:
                above = _num_set(word & ((2 << (bit & 63)) - 1))
                if WORDS == 2:
                    above += tl.where(bit < 64, 0, _num_set(low)[:, None])
                position = tl.where((node < 0)[None, :], position, above)
        else:
            seen = node[None, :] < row[:, None]
        if HAS_WINDOW:
            seen = seen & (position > (depth - window)[:, None])
        scores = tl.where(seen & is_key[None, :] & is_row[:, None], scores, float("-inf"))
        peak = tl.maximum(top, tl.max(scores, 1))
        steady = tl.where(peak == float("-inf"), 0.0, peak)
        shrink = tl.exp2(top - steady)
        p = tl.exp2(scores - steady[:, None])
        total = total * shrink + tl.sum(p, 1)
        v = tl.load(cache + places_n + KV_HEADS * D, mask=loaded, other=0.0)
        acc = tl.dot(p.to(v.dtype), v, acc * shrink[:, None], input_precision=PRECISION)
        top = peak

    whole = tl.where(total == 0.0, 1.0, total)
    acc = acc / whole[:, None]
    number = ((sequence * SPLITS + split) * q_len + row).to(tl.int64) * HEADS + head
    is_out = row < q_len
    kept = acc.to(part.dtype.element_ty)
    if SPLITS > 1:
        tl.store(weight + number, top + tl.log2(whole), mask=is_out)
        is_out = is_out & (total > 0.0)
    tl.store(part + number[:, None] * D + d[None, :], kept, mask=is_out[:, None] & (d < D)[None, :])


@triton.jit
def _join(
    part, weight, out, rows,
    D: tl.constexpr, BLOCK_D: tl.constexpr, SPLITS: tl.constexpr, BLOCK_S: tl.constexpr,
):  # fmt: skip
    """out[row] = the parts of all splits, weighted by the sums of their exponentials; what a split left out is 0."""
    row = tl.program_id(0)
    sequence = tl.program_id(1)
    s = tl.arange(0, BLOCK_S)
    d = tl.arange(0, BLOCK_D)
    number = (sequence * SPLITS + s).to(tl.int64) * rows + row
    log = tl.load(weight + number, mask=s < SPLITS, other=float("-inf"))
    top = tl.max(log, 0)
    share = tl.exp2(log - tl.where(top == float("-inf"), 0.0, top))
    total = tl.sum(share, 0)
    share = share / tl.where(total == 0.0, 1.0, total)
    has = (share > 0.0)[:, None] & (d < D)[None, :]
    parts = tl.load(part + number[:, None] * D + d[None, :], mask=has, other=0.0)
    joined = tl.sum(parts * share[:, None], 0)
    tl.store(out + (sequence.to(tl.int64) * rows + row) * D + d, joined.to(out.dtype.element_ty), mask=d < D)
