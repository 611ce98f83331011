"""Matrix products y = x W^T (+ b), by the path that suits the device.

On a CPU the usual product takes 2 to 3 times as long for five rows as for one, which is what speculation must not pay.
The half-packed product stores W in fp16, computes in fp32, and costs nearly the same for one to eight rows. It is used
only where every weight survives the round trip through fp16 unchanged, so its result is the fp32 result.

Products of fewer bits (quantized/products.py) are for drafts, which may be wrong.
"""

import warnings
from collections.abc import Sequence
from functools import cache
from typing import Literal

import torch
from torch import Tensor

from engine.models.quantized.formats import FourBits, Matrix
from engine.models.quantized.products import Linear, build_four_bits, build_quantized, describe_quantized

Product = Literal["torch", "half_packed", "fp8", "int8", "int4"]

_pack = getattr(torch, "fbgemm_pack_gemm_matrix_fp16", None)
_multiply = getattr(torch, "fbgemm_linear_fp16_weight_fp32_activation", None)


def build_linear(weight: Matrix, bias: Tensor | None, product: Product) -> Linear:
    """weight [out, in], bias [out] or None -> a function [rows, in] -> [rows, out]. What is in 4 bits stays so."""
    if isinstance(weight, FourBits):
        return build_four_bits(weight, bias)
    if product == "half_packed":
        return _half_packed(weight, bias)
    if product != "torch":
        return build_quantized(weight, bias, product)
    if bias is None:
        return lambda x: torch.nn.functional.linear(x, weight)
    return lambda x: torch.nn.functional.linear(x, weight, bias)


def describe_product(product: Product, device: torch.device, dtype: torch.dtype) -> str:
    """What runs, for the record."""
    if product == "torch" or product == "half_packed":
        return product
    return describe_quantized(product, device, dtype)


def can_pack_half(weights: Sequence[Matrix]) -> bool:
    """Whether the half-packed product works here and is exact for all of these weights: fp32 ones on a CPU."""
    return all(_is_of_cpu(weight) for weight in weights) and _half_product_works() and all(map(_exact_in_half, weights))


def _is_of_cpu(weight: Matrix) -> bool:
    return isinstance(weight, Tensor) and weight.device.type == "cpu" and weight.dtype == torch.float32


def _exact_in_half(weight: Matrix) -> bool:
    return isinstance(weight, Tensor) and torch.equal(weight.to(torch.float16).to(torch.float32), weight)


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
