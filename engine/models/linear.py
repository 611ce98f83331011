"""Matrix products y = x W^T (+ b), by the path that suits the device.

On a CPU the usual product takes 2 to 3 times as long for five rows as for one, which is what speculation must not pay.
The half-packed product stores W in fp16, computes in fp32, and costs nearly the same for one to eight rows. It is used
only where every weight survives the round trip through fp16 unchanged, so its result is the fp32 result.

The int8 product is for drafts, which may be wrong: weights in 8 bits with a scale per output, inputs in 8 bits with one
scale a call.
"""

import warnings
from collections.abc import Callable
from functools import cache
from typing import Literal

import torch
from torch import Tensor

Linear = Callable[[Tensor], Tensor]
Product = Literal["torch", "half_packed", "int8"]

_pack = getattr(torch, "fbgemm_pack_gemm_matrix_fp16", None)
_multiply = getattr(torch, "fbgemm_linear_fp16_weight_fp32_activation", None)


def build_linear(weight: Tensor, bias: Tensor | None, product: Product) -> Linear:
    """weight [out, in], bias [out] or None -> a function [rows, in] -> [rows, out]."""
    if product == "half_packed":
        return _half_packed(weight, bias)
    if product == "int8":
        return _int8(weight, bias)
    if bias is None:
        return lambda x: torch.nn.functional.linear(x, weight)
    return lambda x: torch.nn.functional.linear(x, weight, bias)


def can_pack_half(weights: list[Tensor]) -> bool:
    """Whether the half-packed product works here and is exact for all of these fp32 CPU weights."""
    on_cpu = all(weight.device.type == "cpu" and weight.dtype == torch.float32 for weight in weights)
    return on_cpu and _half_product_works() and all(_exact_in_half(weight) for weight in weights)


def can_quantize(weights: list[Tensor]) -> bool:
    """Whether the int8 product works here for all of these weights: fp32 on a CPU whose torch has FBGEMM."""
    on_cpu = all(weight.device.type == "cpu" and weight.dtype == torch.float32 for weight in weights)
    return on_cpu and "fbgemm" in torch.backends.quantized.supported_engines


def _exact_in_half(weight: Tensor) -> bool:
    return torch.equal(weight.to(torch.float16).to(torch.float32), weight)


@cache
def _half_product_works() -> bool:
    """Try it once: some builds of torch lack it. Its notice that a later torch may drop it is not shown."""
    if _pack is None or _multiply is None or "fbgemm" not in torch.backends.quantized.supported_engines:
        return False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return bool(_multiply(torch.ones(1, 4), _pack(torch.ones(2, 4)), None).sum() == 8.0)
        except RuntimeError:
            return False


def _half_packed(weight: Tensor, bias: Tensor | None) -> Linear:
    assert _pack is not None
    packed, product = _pack(weight), torch.ops.aten.fbgemm_linear_fp16_weight_fp32_activation.default
    return lambda x: product(x, packed, bias)


def _int8(weight: Tensor, bias: Tensor | None) -> Linear:
    """Symmetric, largest weight of an output at 127."""
    scales = weight.abs().amax(1).clamp_min(torch.finfo(weight.dtype).tiny).double() / 127
    zeros = torch.zeros(len(scales), dtype=torch.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch says that quantized tensors will go some day
        quantized = torch.quantize_per_channel(weight, scales, zeros, 0, torch.qint8)
    packed = torch.ops.quantized.linear_prepack(quantized, bias)
    product = torch.ops.quantized.linear_dynamic
    return lambda x: product(x, packed, True)  # True: inputs in 7 bits where the CPU would overflow with 8
