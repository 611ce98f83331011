"""A program holds a whole row, so that it is read once."""

import torch
import triton
import triton.language as tl
from torch import Tensor


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """See reference.rms_norm."""
    normed = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    _launch(x, None, weight, normed, None, eps)
    return normed


def add_rms_norm(x: Tensor, residual: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """See reference.add_rms_norm."""
    normed, total = (torch.empty(x.shape, dtype=x.dtype, device=x.device) for _ in range(2))
    _launch(x, residual, weight, normed, total, eps)
    return normed, total


def _launch(
    x: Tensor, residual: Tensor | None, weight: Tensor, normed: Tensor, total: Tensor | None, eps: float
) -> None:
    rows, width = x.shape
    strides = x.stride(0), 0 if residual is None else residual.stride(0)
    block = triton.next_power_of_2(width)
    warps = min(max(block // 512, 1), 16)
    _norm_rows[(rows,)](x, residual, weight, normed, total, *strides, width, eps, BLOCK=block, num_warps=warps)


@triton.jit
def _norm_rows(x, residual, weight, normed, total, x_stride, residual_stride, width, eps, BLOCK: tl.constexpr):
    row, column = tl.program_id(0).to(tl.int64), tl.arange(0, BLOCK)
    inside = column < width
    loaded = tl.load(x + row * x_stride + column, mask=inside, other=0.0)
    value = loaded.to(tl.float32)
    if residual is not None:
        before = tl.load(residual + row * residual_stride + column, mask=inside, other=0.0)
        added = (before.to(tl.float32) + value).to(loaded.dtype)
        tl.store(total + row * width + column, added, mask=inside)
        value = added.to(tl.float32)
    scale = tl.rsqrt(tl.sum(value * value, 0) / width + eps)
    factor = tl.load(weight + column, mask=inside, other=0.0).to(tl.float32)
    tl.store(normed + row * width + column, (value * scale * factor).to(loaded.dtype), mask=inside)
