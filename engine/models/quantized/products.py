"""What multiplies with a draft's weights in 8 or 4 bits.

On a GPU the operators of kernels/quantized_linear: weights stay as stored, inputs in the dtype of the model. On a CPU
torch's own (on_cpu.py).
"""

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Literal

import torch
from torch import Tensor

from engine.errors import ConfigError
from engine.models.quantized import on_cpu
from engine.models.quantized.formats import GROUPS, FourBits, Matrix, group_of, to_fp8, to_int4, to_int8
from kernels.quantized_linear.op import int4_linear, quantized_linear

Linear = Callable[[Tensor], Tensor]
Quantized = Literal["fp8", "int8", "int4"]


def build_quantized(weight: Tensor, bias: Tensor | None, kind: Quantized) -> Linear:
    """weight [out, in], bias [out] or None -> a function [rows, in] -> [rows, out]."""
    return on_cpu.BUILD[kind](weight, bias) if weight.device.type == "cpu" else by_kernels(weight, bias, kind)


def by_kernels(weight: Tensor, bias: Tensor | None, kind: Quantized) -> Linear:
    """The same by kernels/quantized_linear."""
    if kind == "int4":
        return build_four_bits(to_int4(weight), bias)
    stored = to_int8(weight) if kind == "int8" else to_fp8(weight)
    return lambda x: quantized_linear(x, stored.weight, stored.scales, bias)


def build_four_bits(stored: FourBits, bias: Tensor | None) -> Linear:
    """The product of a matrix that is in 4 bits already."""
    return lambda x: int4_linear(x, stored.packed, stored.scales, stored.zeros, bias)


def check_quantized(matrices: Sequence[Matrix], kind: Quantized) -> Quantized:
    """`kind`, or a ConfigError that says why these [out, in] weights cannot be multiplied so here."""
    plain = [matrix for matrix in matrices if isinstance(matrix, Tensor)]
    assert len(plain) == len(matrices), "refused by draft_config.py"
    device = plain[0].device
    reason = on_cpu.refusal(plain, kind) if device.type == "cpu" else refusal_on_gpu(device, kind)
    odd = [tuple(matrix.shape) for matrix in plain if group_of(matrix.shape[1]) is None]
    if kind == "int4" and odd:
        reason = f"int4 needs rows of a multiple of {min(GROUPS)} weights, and a matrix here is {odd[0]}"
    if reason is not None:
        raise ConfigError(f"quantization={kind!r} is not allowed: {reason}; leave it out")
    return kind


def describe_quantized(kind: Quantized, device: torch.device, dtype: torch.dtype) -> str:
    """What runs, for the record."""
    return on_cpu.describe(kind, dtype) if device.type == "cpu" else f"{kind} (weights only)"


def refusal_on_gpu(device: torch.device, kind: Quantized) -> str | None:
    """Why the product is not to be had; None if it is."""
    if find_spec("triton") is None:
        return "on a GPU it needs triton"
    if kind == "fp8" and (found := torch.cuda.get_device_capability(device)) < (8, 9):
        return f"fp8 needs compute capability 8.9, this GPU has {found[0]}.{found[1]}, where int8 and int4 work"
    return None
