"""Matrices in 8 and 4 bits, and how a draft's weights are rounded to them: the largest of a row or group at the end of
the range. Drafts may be wrong, so nothing is calibrated.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from kernels.quantized_linear.reference import expand_int4, pack_int4

FP8 = torch.float8_e4m3fn
GROUPS = (64, 32)  # columns that share a scale in 4 bits: the first that divides a row
BITS = 15  # the highest code of 4 bits


@dataclass(frozen=True, slots=True)
class EightBits:
    """weight [out, in] int8 or float8_e4m3fn; scales [out] fp32."""

    weight: Tensor
    scales: Tensor


@dataclass(frozen=True, slots=True)
class FourBits:
    """Codes of 4 bits that stand for (code - zero) * scale of their group.

    packed        [out, in / 2] uint8, as kernels/quantized_linear has them
    scales zeros  [out, in / group]; zeros uint8
    """

    packed: Tensor
    scales: Tensor
    zeros: Tensor

    @property
    def group(self) -> int:
        return 2 * self.packed.shape[1] // self.scales.shape[1]

    def expanded(self, dtype: torch.dtype) -> Tensor:
        """[out, in]."""
        return expand_int4(self.packed, self.scales, self.zeros).to(dtype)


Matrix = Tensor | FourBits


def to_int8(weight: Tensor) -> EightBits:
    """weight [out, in]."""
    scales = _scales(weight, 127.0)
    return EightBits((weight.float() / scales[:, None]).round().to(torch.int8), scales)


def to_fp8(weight: Tensor) -> EightBits:
    """weight [out, in]."""
    scales = _scales(weight, torch.finfo(FP8).max)
    return EightBits((weight.float() / scales[:, None]).to(FP8), scales)


def to_int4(weight: Tensor) -> FourBits:
    """weight [out, in]; in is a multiple of one of GROUPS."""
    group = group_of(weight.shape[1])
    assert group is not None, "refused before"
    grouped = weight.float().view(len(weight), -1, group)
    low, high = grouped.amin(-1).clamp_max(0.0), grouped.amax(-1).clamp_min(0.0)
    scales = ((high - low) / BITS).clamp_min(torch.finfo(weight.dtype).tiny).to(weight.dtype)
    zeros = (-low / scales).round().clamp(0, BITS)
    codes = (grouped / scales[..., None] + zeros[..., None]).round().clamp(0, BITS)
    return FourBits(pack_int4(codes.view(weight.shape).to(torch.uint8), group), scales, zeros.to(torch.uint8))


def group_of(width: int) -> int | None:
    """How many columns share a scale; None where no size divides the width."""
    return next((group for group in GROUPS if width % group == 0), None)


def _scales(weight: Tensor, largest: float) -> Tensor:
    return weight.float().abs().amax(1).clamp_min(torch.finfo(torch.float32).tiny) / largest
