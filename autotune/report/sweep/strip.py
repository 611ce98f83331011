"""All jobs in one column of intervals on a common scale of logs: places in percent of a strip's width."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from autotune.report.sweep.jobs import Job


@dataclass(frozen=True)
class Strip:
    """Left end, right end and middle of an interval, and where no speculation lies."""

    left: float
    right: float
    middle: float
    one: float


def strips(jobs: Sequence[Job]) -> dict[int, Strip]:
    """By job number; nothing for a job without a number."""
    bounds = {job.number: (*(job.interval or [job.speedup] * 2), job.speedup) for job in jobs if job.speedup}
    ends = [1.0, *(end for low, high, _ in bounds.values() for end in (low, high))]
    low, high = math.log(min(ends)), math.log(max(ends))
    reach = (high - low) or 1.0

    def place(value: float) -> float:
        return round(2 + 96 * (math.log(value) - low) / reach, 2)

    return {
        n: Strip(place(left), place(right), place(middle), place(1.0)) for n, (left, right, middle) in bounds.items()
    }
