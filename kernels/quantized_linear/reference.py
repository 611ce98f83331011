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

    packed        [out, in / 2] uint8: column 2j in the low half of byte j, column 2j + 1 in the high half
    scales zeros  [out, in / group], zeros uint8
    """
    return _add(x.float() @ expand_int4(packed, scales, zeros).T, bias).to(x.dtype)


def expand_int4(packed: Tensor, scales: Tensor, zeros: Tensor) -> Tensor:
    """-> [out, in] fp32."""
    codes = torch.stack([packed & 15, packed >> 4], -1).view(*scales.shape, -1)
    exact = (codes.float() - zeros[..., None].float()) * scales[..., None].float()
    return exact.view(len(packed), -1)


def _add(out: Tensor, bias: Tensor | None) -> Tensor:
    return out if bias is None else out + bias.float()
