"""The operators `torch.ops.spectune.quantized_linear` and `int4_linear`. Rows of x are dense in themselves."""

import torch
from torch import Tensor
from torch.nn.functional import linear

from kernels.quantized_linear import reference

# Beyond this many rows arithmetic is the bound: the weights are expanded once, and torch's own product is quicker.
MOST_ROWS = 128


@torch.library.custom_op("spectune::quantized_linear", mutates_args=())
def quantized_linear(x: Tensor, weight: Tensor, scales: Tensor, bias: Tensor | None) -> Tensor:
    """See reference.quantized_linear."""
    if x.device.type == "cpu":
        return reference.quantized_linear(x, weight, scales, bias)
    if len(x) > MOST_ROWS:
        return linear(x, (weight.to(x.dtype) * scales[:, None].to(x.dtype)), bias)
    from kernels.quantized_linear import triton

    return triton.quantized_linear(x, weight, scales, bias)


@quantized_linear.register_fake
def _(x: Tensor, weight: Tensor, scales: Tensor, bias: Tensor | None) -> Tensor:
    return x.new_empty(x.shape[0], weight.shape[0])


@torch.library.custom_op("spectune::int4_linear", mutates_args=())
def int4_linear(x: Tensor, packed: Tensor, scales: Tensor, zeros: Tensor, bias: Tensor | None) -> Tensor:
    """See reference.int4_linear."""
    if x.device.type == "cpu":
        return reference.int4_linear(x, packed, scales, zeros, bias)
    if len(x) > MOST_ROWS:
        return linear(x, reference.expand_int4(packed, scales, zeros).to(x.dtype), bias)
    from kernels.quantized_linear import triton

    return triton.int4_linear(x, packed, scales, zeros, bias)


@int4_linear.register_fake
def _(x: Tensor, packed: Tensor, scales: Tensor, zeros: Tensor, bias: Tensor | None) -> Tensor:
    return x.new_empty(x.shape[0], packed.shape[0])
