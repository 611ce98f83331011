"""Products of 8 and 4 bits on a CPU, by torch's own operators.

int8 in fp32 goes through FBGEMM, which rounds the inputs to 8 bits too. torch's products of weights alone are quick
with bf16 inputs and about thirty times slower with others, so inputs are converted. Nothing multiplies e4m3 quickly
here: it is expanded once, rounds as on a GPU and saves no memory.
"""

import warnings
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import linear, pad

from engine.models.quantized.formats import to_fp8, to_int4, to_int8
from kernels.quantized_linear.reference import unpack_int4

Linear = Callable[[Tensor], Tensor]
BLOCK = 16  # outputs that torch's 4-bit product takes together


def describe(kind: str, dtype: torch.dtype) -> str:
    """What runs, for the record."""
    if kind == "fp8":
        return "fp8 (expanded at load)"
    return "int8 (fbgemm, inputs too)" if (kind, dtype) == ("int8", torch.float32) else f"{kind} (bfloat16 inputs)"


def refusal(matrices: Sequence[Tensor], kind: str) -> str | None:
    """Why the product is not to be had; None if it is."""
    lacking = "fbgemm" not in torch.backends.quantized.supported_engines
    if kind == "int8" and matrices[0].dtype == torch.float32 and lacking:
        return "int8 in float32 needs a torch with FBGEMM, which this one lacks"
    return None


def _fp8(weight: Tensor, bias: Tensor | None) -> Linear:
    stored = to_fp8(weight)
    expanded = (stored.weight.float() * stored.scales[:, None]).to(weight.dtype)
    return lambda x: linear(x, expanded, bias)


def _int8(weight: Tensor, bias: Tensor | None) -> Linear:
    if weight.dtype == torch.float32:
        return _fbgemm(weight, bias)
    stored, product = to_int8(weight), torch.ops.aten._weight_int8pack_mm
    scales = stored.scales.to(torch.bfloat16)
    return _of_bfloat16(lambda x: product(x, stored.weight, scales), bias)


def _fbgemm(weight: Tensor, bias: Tensor | None) -> Linear:
    scales = to_int8(weight).scales.double()
    zeros = torch.zeros(len(scales), dtype=torch.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch says that quantized tensors will go some day
        quantized = torch.quantize_per_channel(weight, scales, zeros, 0, torch.qint8)
    packed = torch.ops.quantized.linear_prepack(quantized, bias)
    product = torch.ops.quantized.linear_dynamic
    return lambda x: product(x, packed, True)  # True: inputs in 7 bits where the CPU would overflow with 8


def _int4(weight: Tensor, bias: Tensor | None) -> Linear:
    """torch's codes stand for (code - 8) * scale + offset, and outputs come in blocks."""
    stored = to_int4(weight.to(torch.bfloat16))
    outputs, group, missing = len(weight), stored.group, (0, 0, 0, -len(weight) % BLOCK)
    codes = unpack_int4(stored.packed, stored.scales.shape[1]).int()
    packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(pad(codes, missing), 1)
    offsets = (8.0 - stored.zeros.float()) * stored.scales.float()
    both = torch.stack([pad(stored.scales, missing), pad(offsets.bfloat16(), missing)], -1).transpose(0, 1).contiguous()
    product = torch.ops.aten._weight_int4pack_mm_for_cpu
    return _of_bfloat16(lambda x: product(x, packed, group, both)[:, :outputs], bias)


def _of_bfloat16(product: Linear, bias: Tensor | None) -> Linear:
    if bias is None:
        return lambda x: product(x.bfloat16()).to(x.dtype)
    return lambda x: product(x.bfloat16()).to(x.dtype) + bias


BUILD: dict[str, Callable[[Tensor, Tensor | None], Linear]] = {"fp8": _fp8, "int8": _int8, "int4": _int4}
