"""Matrix products y = x W^T (+ b), by the path that suits the device.

On a CPU the usual product takes 2 to 3 times as long for five rows as for one, which is what speculation must not pay.
The half-packed product stores W in fp16, computes in fp32, and costs nearly the same for one to eight rows. It is used
only where every weight survives the round trip through fp16 unchanged, so its result is the fp32 result.
"""

import warnings
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

Linear = Callable[[Tensor], Tensor]
Product = Literal["torch", "half_packed"]

_pack = getattr(torch.ops._quantized, "wrapped_fbgemm_pack_gemm_matrix_fp16", None)
_product = getattr(torch.ops._quantized, "wrapped_fbgemm_linear_fp16_weight", None)


def build_linear(weight: Tensor, bias: Tensor | None, product: Product) -> Linear:
    """weight [out, in], bias [out] or None -> a function [rows, in] -> [rows, out]."""
    if product == "half_packed":
        return _half_packed(weight, bias)
    if bias is None:
        return lambda x: torch.nn.functional.linear(x, weight)
    return lambda x: torch.nn.functional.linear(x, weight, bias)


def can_pack_half(weights: list[Tensor]) -> bool:
    """Whether the half-packed product exists here and is exact for all of these fp32 CPU weights."""
    if _pack is None or _product is None or not _fbgemm_here():
        return False
    return all(_exact_in_half(weight) for weight in weights)


def _exact_in_half(weight: Tensor) -> bool:
    if weight.device.type != "cpu" or weight.dtype != torch.float32:
        return False
    return torch.equal(weight.to(torch.float16).to(torch.float32), weight)


def _fbgemm_here() -> bool:
    return "fbgemm" in torch.backends.quantized.supported_engines


def _half_packed(weight: Tensor, bias: Tensor | None) -> Linear:
    rows = weight.shape[0]
    offset = torch.zeros(rows) if bias is None else bias
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        packed = _pack(weight)  # type: ignore[misc]
    product = _product.default  # type: ignore[union-attr]
    return lambda x: product(x, packed, offset, rows)
