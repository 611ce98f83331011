"""Time of every kernel over its byte bound; one that differs from its reference is not timed."""

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from benchmarks import kernel_works, product_works, step_works
from benchmarks.gpu.timer import Timer
from benchmarks.kernel_works import Work

WORKS = kernel_works.WORKS | step_works.WORKS | product_works.WORKS
TOLERANCE = 2e-2  # of bf16 values around 1


class Timed(NamedTuple):
    kernel: str
    shape: str
    microseconds: float
    gb_per_s: float
    of_ceiling: float


def agrees(got: Tensor, expected: Tensor) -> bool:
    """Whole numbers (tokens) are the same, others within TOLERANCE."""
    if not expected.dtype.is_floating_point:
        return torch.equal(got, expected)
    return torch.allclose(got.float(), expected.float(), rtol=TOLERANCE, atol=TOLERANCE)


def difference(work: Work) -> str | None:
    """How a kernel differs from its reference, in one line; None where it agrees."""
    got, expected = work.check()
    if agrees(got, expected):
        return None
    worst = float((got.double() - expected.double()).abs().max())
    return f"{work.kernel} {work.shape} differs from its reference by {worst:.3g}: not timed"


def timed(work: Work, timer: Timer, ceiling: float) -> Timed:
    """`ceiling` in bytes a second."""
    seconds = timer.in_graph(work.run, work.turns)
    rate = work.num_bytes / seconds
    return Timed(work.kernel, work.shape, seconds * 1e6, rate / 1e9, rate / ceiling)


def measure(device: torch.device, timer: Timer, ceiling: float, names: Iterable[str]) -> tuple[list[Timed], list[str]]:
    """The times, and what differs."""
    rows, differences = [], []
    for work in (work for name in names for work in WORKS[name](device)):
        found = difference(work)
        if found is None:
            rows.append(timed(work, timer, ceiling))
        else:
            print(found)
            differences.append(found)
    return rows, differences
