"""Plain torch: the specification of the kernels."""

import torch
from torch import Tensor


def quantized_linear(x: Tensor, weight: Tensor, scales: Tensor, bias: Tensor | None) -> Tensor:
    """x [rows, in], weight [out, in] int8 or float8_e4m3fn, scales [out], bias [out] -> [rows, out] in x's dtype.

    The sum, the scale and the bias are fp32.
    """
    return _add(x.float() @ weight.float().T * scales.float(), bias).to(x.dtype)


def int4_linear(x: Tensor, packed: Tensor, scales: Tensor, zeros: Tensor, bias: Tensor | None) -> Tensor:
    """The same with a 4-bit code c for every weight, which stands for (c - zero) * scale of its group.

    packed        [out, in / 2] uint8: of each group the first half of its columns in low bits, the second in high bits
    scales zeros  [out, in / group], zeros uint8
    """
    return _add(x.float() @ expand_int4(packed, scales, zeros).T, bias).to(x.dtype)


def expand_int4(packed: Tensor, scales: Tensor, zeros: Tensor) -> Tensor:
    """-> [out, in] fp32."""
    codes = unpack_int4(packed, scales.shape[1]).view(*scales.shape, -1)
    exact = (codes.float() - zeros[..., None].float()) * scales[..., None].float()
    return exact.view(len(packed), -1)


def unpack_int4(packed: Tensor, groups: int) -> Tensor:
    """-> [out, in] uint8."""
    halves = packed.view(len(packed), groups, -1)
    return torch.cat([halves & 15, halves >> 4], -1).view(len(packed), -1)


def pack_int4(codes: Tensor, group: int) -> Tensor:
    """codes [out, in] uint8 below 16, in groups of so many columns -> packed."""
    low, high = codes.view(len(codes), -1, 2, group // 2).unbind(2)
    return (low | high << 4).view(len(codes), -1)


def _add(out: Tensor, bias: Tensor | None) -> Tensor:
    return out if bias is None else out + bias.float()
