"""Every kernel against its reference at small, odd shapes. Memory that a kernel must not read is NaN.

The launchers are called as they are: compiled on a GPU, interpreted without one.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from benchmarks.gpu import agreement_of_layers, agreement_of_steps, failures
from benchmarks.timing import table

TOLERANCE = {torch.float32: 2e-5, torch.float16: 2e-3, torch.bfloat16: 1.6e-2}  # a few roundings of values around 1


class Case(NamedTuple):
    """`check` gives pairs of what the kernel made and what its reference did."""

    kernel: str
    shape: str
    check: Callable[[], list[tuple[Tensor, Tensor]]]


class Verdict(NamedTuple):
    kernel: str
    shape: str
    worst: float | None  # largest difference; None where the kernel failed
    agrees: bool
    note: str = ""


def dtypes(device: torch.device) -> tuple[torch.dtype, ...]:
    """The interpreter of triton 3.6 and 3.7 cuts bfloat16 where it should round, so it is left to a GPU."""
    halves = (torch.float16, torch.bfloat16) if device.type == "cuda" else (torch.float16,)
    return torch.float32, *halves


def cases(device: torch.device) -> Iterator[Case]:
    for dtype in dtypes(device):
        yield from (Case(*found) for found in agreement_of_layers.cases(device, dtype))
    yield from (Case(*found) for found in agreement_of_steps.cases(device))


def judged(case: Case) -> Verdict:
    """A kernel that fails, rather than differs, is a verdict too: the others still have theirs."""
    try:
        pairs = case.check()
    except Exception as error:
        return Verdict(case.kernel, case.shape, None, False, failures.line(error))
    return Verdict(case.kernel, case.shape, max(map(worst, pairs)), all(map(agree, pairs)))


def worst(pair: tuple[Tensor, Tensor]) -> float:
    got, expected = (tensor.double().nan_to_num(0.0) for tensor in pair)
    return float((got - expected).abs().max()) if got.numel() else 0.0


def agree(pair: tuple[Tensor, Tensor]) -> bool:
    """Whole numbers are the same; others within rounding; what is nobody's stays NaN on both sides."""
    got, expected = pair
    if got.dtype != expected.dtype or got.shape != expected.shape:
        return False
    if not got.dtype.is_floating_point:
        return torch.equal(got, expected)
    bound = TOLERANCE[got.dtype]
    return torch.allclose(got.double(), expected.double(), rtol=bound, atol=bound, equal_nan=True)


def prove(device: torch.device) -> list[Verdict]:
    found = [judged(case) for case in cases(device)]
    summary: dict[str, list[Verdict]] = {}
    for verdict in found:
        summary.setdefault(verdict.kernel, []).append(verdict)
    rows = [
        [
            kernel,
            len(group),
            max(each.worst or 0.0 for each in group),
            "yes" if all(each.agrees for each in group) else "NO",
        ]
        for kernel, group in summary.items()
    ]
    table("kernels against their references, small shapes", ["kernel", "shapes", "worst", "agrees"], rows)
    for each in found:
        if not each.agrees:
            print(f"  differs: {each.kernel}, {each.shape}, by {each.worst} {each.note}")
    return found
