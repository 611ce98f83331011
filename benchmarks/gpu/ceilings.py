"""What the chip can do at most, measured in the same run: bytes copied, bytes read, bf16 products."""

from typing import NamedTuple

import torch

from benchmarks.gpu.sizes import FULL, Sizes
from benchmarks.gpu.timer import Timer


class Ceilings(NamedTuple):
    """Bytes a second read and written by a copy; bytes a second of a read; operations a second of a bf16 product."""

    copy: float
    read: float
    matmul: float

    @property
    def bandwidth(self) -> float:
        """The higher one: a bound must not flatter."""
        return max(self.copy, self.read)


def copy_ceiling(device: torch.device, timer: Timer, num_bytes: int) -> float:
    source = torch.zeros(num_bytes, dtype=torch.uint8, device=device)
    goal = torch.empty_like(source)
    return 2 * num_bytes / timer.in_graph(lambda _: goal.copy_(source), 4)


def read_ceiling(device: torch.device, timer: Timer, num_bytes: int) -> float:
    """By a reduction, which writes next to nothing."""
    source = torch.zeros(num_bytes // 4, dtype=torch.float32, device=device)
    return num_bytes / timer.in_graph(lambda _: source.sum(), 4)


def matmul_ceiling(device: torch.device, timer: Timer, width: int) -> float:
    """Of random numbers: those of zeros draw less power, so that the clock stays higher."""
    left, right = (torch.randn(width, width, device=device, dtype=torch.bfloat16) for _ in range(2))
    return 2 * width**3 / timer.in_graph(lambda _: left @ right, 4)


def measure(device: torch.device, timer: Timer, sizes: Sizes = FULL) -> Ceilings:
    return Ceilings(
        copy_ceiling(device, timer, sizes.copied),
        read_ceiling(device, timer, sizes.copied),
        matmul_ceiling(device, timer, sizes.product),
    )
