"""The operators `torch.ops.spectune.rms_norm` and `torch.ops.spectune.add_rms_norm`. Rows are dense in themselves."""

import torch
from torch import Tensor

from kernels.rms_norm import reference


@torch.library.custom_op("spectune::rms_norm", mutates_args=())
def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """See reference.rms_norm."""
    if x.device.type == "cpu":
        return reference.rms_norm(x, weight, eps)
    from kernels.rms_norm import triton

    return triton.rms_norm(x, weight, eps)


@rms_norm.register_fake
def _(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    return x.new_empty(x.shape)


@torch.library.custom_op("spectune::add_rms_norm", mutates_args=())
def add_rms_norm(x: Tensor, residual: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """See reference.add_rms_norm."""
    if x.device.type == "cpu":
        return reference.add_rms_norm(x, residual, weight, eps)
    from kernels.rms_norm import triton

    return triton.add_rms_norm(x, residual, weight, eps)


@add_rms_norm.register_fake
def _(x: Tensor, residual: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    return x.new_empty(x.shape), x.new_empty(x.shape)
