"""The operator `torch.ops.spectune.silu_and_mul`. Rows are dense in themselves."""

import torch
from torch import Tensor

from kernels.silu_and_mul import reference


@torch.library.custom_op("spectune::silu_and_mul", mutates_args=())
def silu_and_mul(gate_up: Tensor) -> Tensor:
    """See reference.silu_and_mul."""
    if gate_up.device.type == "cpu":
        return reference.silu_and_mul(gate_up)
    from kernels.silu_and_mul import triton

    return triton.silu_and_mul(gate_up)


@silu_and_mul.register_fake
def _(gate_up: Tensor) -> Tensor:
    return gate_up.new_empty(gate_up.shape[0], gate_up.shape[1] // 2)
