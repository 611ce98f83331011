"""Plain torch: the specification of the kernel."""

from torch import Tensor
from torch.nn import functional


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """x [rows, H] -> x / sqrt(mean(x^2) + eps) * weight, in float32 and rounded once."""
    return functional.rms_norm(x, (x.shape[-1],), weight, eps)


def add_rms_norm(x: Tensor, residual: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """The norm of residual + x, and the sum itself: the new residual, rounded to the dtype before it is normed."""
    total = residual + x
    return rms_norm(total, weight, eps), total
