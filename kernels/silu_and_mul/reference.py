"""Plain torch: the specification of the kernel."""

from torch import Tensor
from torch.nn.functional import silu


def silu_and_mul(gate_up: Tensor) -> Tensor:
    """gate_up [rows, 2 * inner], gates first -> silu(gate), rounded to the dtype, times up: [rows, inner]."""
    gate, up = gate_up.chunk(2, -1)
    return silu(gate) * up
