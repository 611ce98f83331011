"""A program per block of outputs, and of rows where there are many: it reads its weights once, in the bits stored."""

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK_K = 128
MANY_OUTPUTS = 4096  # from here on wide blocks leave enough programs


def quantized_linear(x: Tensor, weight: Tensor, scales: Tensor, bias: Tensor | None) -> Tensor:
    """See reference.quantized_linear."""
    (rows, width), outputs = x.shape, weight.shape[0]
    out = torch.empty((rows, outputs), dtype=x.dtype, device=x.device)
    grid, blocks = _grid(rows, outputs)
    if not rows:
        return out
    sizes = rows, outputs, width, x.stride(0)
    _eight_bits[grid](x, weight, scales, bias, out, *sizes, **blocks, BLOCK_K=BLOCK_K, num_warps=4, num_stages=4)
    return out


def int4_linear(x: Tensor, packed: Tensor, scales: Tensor, zeros: Tensor, bias: Tensor | None) -> Tensor:
    """See reference.int4_linear. Groups are of 32, 64 or 128 columns."""
    (rows, width), outputs = x.shape, packed.shape[0]
    out = torch.empty((rows, outputs), dtype=x.dtype, device=x.device)
    grid, blocks = _grid(rows, outputs)
    if not rows:
        return out
    sizes, group = (rows, outputs, width, x.stride(0)), width // scales.shape[1]
    _four_bits[grid](x, packed, scales, zeros, bias, out, *sizes, **blocks, GROUP=group, num_warps=4, num_stages=6)
    return out


def _grid(rows: int, outputs: int) -> tuple[tuple[int, int], dict[str, int]]:
    block_m = min(64, max(16, triton.next_power_of_2(rows)))
    block_n = 32 if outputs >= MANY_OUTPUTS else 16
    return (triton.cdiv(outputs, block_n), triton.cdiv(rows, block_m)), {"BLOCK_M": block_m, "BLOCK_N": block_n}


@triton.jit
def _eight_bits(
    x,
    weight,
    scales,
    bias,
    out,
    rows,
    outputs,
    width,
    x_stride,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
):
    n = tl.program_id(0) * BLOCK_N + tl.arange(0, BLOCK_N)
    m = tl.program_id(1) * BLOCK_M + tl.arange(0, BLOCK_M)
    x_rows, w_rows = x + m.to(tl.int64)[:, None] * x_stride, weight + n.to(tl.int64)[None, :] * width
    total = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
    for start in range(0, width, BLOCK_K):
        k = start + tl.arange(0, BLOCK_K)
        given = tl.load(x_rows + k[None, :], mask=(m[:, None] < rows) & (k[None, :] < width), other=0.0)
        stored = tl.load(w_rows + k[:, None], mask=(n[None, :] < outputs) & (k[:, None] < width), other=0.0)
        total = tl.dot(given, stored.to(given.dtype), total, input_precision="ieee")
    total *= tl.load(scales + n, mask=n < outputs, other=0.0).to(tl.float32)[None, :]
    _store(total, bias, out, m, n, rows, outputs)


@triton.jit
def _four_bits(
    x,
    packed,
    scales,
    zeros,
    bias,
    out,
    rows,
    outputs,
    width,
    x_stride,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    GROUP: tl.constexpr,
):
    """A group at a time: its codes less their zero are exact in every dtype, and the scale is applied to their sum."""
    n = tl.program_id(0) * BLOCK_N + tl.arange(0, BLOCK_N)
    m = tl.program_id(1) * BLOCK_M + tl.arange(0, BLOCK_M)
    groups, half = width // GROUP, tl.arange(0, GROUP // 2)
    low_rows = x + m.to(tl.int64)[:, None] * x_stride + half[None, :]
    code_rows = packed + n.to(tl.int64)[None, :] * (width // 2) + half[:, None]
    x_inside, n_inside = m[:, None] < rows, n < outputs
    total = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
    for group in range(0, groups):
        codes = tl.load(code_rows + group * (GROUP // 2), mask=n_inside[None, :], other=0).to(tl.int32)
        zero = tl.load(zeros + n.to(tl.int64) * groups + group, mask=n_inside, other=0).to(tl.int32)[None, :]
        scale = tl.load(scales + n.to(tl.int64) * groups + group, mask=n_inside, other=0.0).to(tl.float32)
        first = tl.load(low_rows + group * GROUP, mask=x_inside, other=0.0)
        second = tl.load(low_rows + group * GROUP + GROUP // 2, mask=x_inside, other=0.0)
        part = tl.dot(first, ((codes & 15) - zero).to(first.dtype), input_precision="ieee")
        part = tl.dot(second, ((codes >> 4) - zero).to(second.dtype), part, input_precision="ieee")
        total += part * scale[None, :]
    _store(total, bias, out, m, n, rows, outputs)


@triton.jit
def _store(total, bias, out, m, n, rows, outputs):
    if bias is not None:
        total += tl.load(bias + n, mask=n < outputs, other=0.0).to(tl.float32)[None, :]
    where = out + m.to(tl.int64)[:, None] * outputs + n[None, :]
    tl.store(where, total.to(out.dtype.element_ty), mask=(m[:, None] < rows) & (n[None, :] < outputs))
