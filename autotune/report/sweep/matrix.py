"""The jobs in rows and columns: by what was varied, workloads across. And the answer of every column."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from autotune.console import words
from autotune.measurement import TARGET
from autotune.report.sweep.jobs import Job

ACROSS = "workload"
DEEPEST = math.log(3)  # the log of the factor from which on a cell is no darker


@dataclass(frozen=True)
class Cell:
    """`tint` is a CSS colour; `best` marks the column's answer."""

    jobs: Sequence[Job]
    tint: str
    best: bool


@dataclass(frozen=True)
class Matrix:
    """`rows` are (label, a cell a column), the best first; an empty `across` stands for one column without a key."""

    down: str
    across: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Cell]]]


def varied(jobs: Sequence[Job]) -> list[str]:
    """The keys that tell the jobs apart, in the order in which they were given."""
    keys = dict.fromkeys(key for job in jobs for key in job.given)
    return [key for key in keys if len({job.given.get(key) for job in jobs}) > 1]


def matrix(jobs: Sequence[Job]) -> Matrix:
    """Rows are sorted by the geometric mean of what they have."""
    keys = varied(jobs)
    across = ACROSS if ACROSS in keys and len(keys) > 1 else keys[-1] if len(keys) > 1 else ""
    down = [key for key in keys if key != across]
    columns = list(dict.fromkeys(job.given.get(across, "") for job in jobs))
    labels = dict.fromkeys(label(job, down) for job in jobs)
    best = {column: winner([job for job in jobs if job.given.get(across, "") == column]) for column in columns}
    rows = [(each, [_cell(jobs, each, down, across, column, best[column]) for column in columns]) for each in labels]
    return Matrix(" ".join(down), across, columns, sorted(rows, key=lambda row: -_mean(row[1])))


def answers(jobs: Sequence[Job]) -> list[str]:
    """A sentence a column: which configuration, how much, and whether the next one is shown to be worse."""
    table = matrix(jobs)
    down = table.down.split()
    found = []
    for column in table.columns:
        own = [job for job in jobs if job.given.get(table.across, "") == column]
        found.append((f"For {table.across} {column}: " if table.across else "Fastest: ") + _answer(own, down))
    return found


def winner(jobs: Sequence[Job]) -> Job | None:
    """The fastest of those that are confirmed and have the model's own answers."""
    sure = [job for job in jobs if job.confirmed and job.law == TARGET]
    return min(sure, key=lambda job: job.place, default=None)


def label(job: Job, keys: Sequence[str]) -> str:
    """A job by the values of some keys; without any by its number."""
    values = [job.given.get(key, "–") for key in keys]
    return values[0] if len(keys) == 1 else "  ".join(f"{k}={v}" for k, v in zip(keys, values, strict=True)) or "all"


def _answer(jobs: Sequence[Job], down: Sequence[str]) -> str:
    best = winner(jobs)
    if best is None:
        return "nothing was confirmed to be faster than no speculation."
    low = (best.interval or [math.inf])[0]
    close = [
        label(job, down)
        for job in sorted(jobs, key=lambda job: job.place)
        if job is not best and job.law == TARGET and (job.interval or [0.0, 0.0])[1] > low
    ]
    near = f"; the interval of {' and '.join(close)} overlaps with its own" if close else ""
    return f"{label(best, down)} at {best.number_words} {words.bounds(best.interval)}{near}."


def _cell(jobs: Sequence[Job], row: str, down: Sequence[str], across: str, column: str, best: Job | None) -> Cell:
    own = [job for job in jobs if label(job, down) == row and job.given.get(across, "") == column]
    return Cell(own, _tint(own[0]) if own else "", best is not None and any(job is best for job in own))


def _tint(job: Job) -> str:
    """Blue the faster, orange the slower, none where it is not told from no speculation."""
    low, high = job.interval or (0.0, 2.0)
    if job.speedup is None or low <= 1 <= high or job.law != TARGET:
        return "transparent"
    depth = 0.08 + 0.4 * min(1.0, abs(math.log(job.speedup)) / DEEPEST)
    return f"rgba({'0,114,178' if low > 1 else '213,94,0'},{depth:.2f})"


def _mean(cells: Sequence[Cell]) -> float:
    """Of the logs; a row without any number is last."""
    logs = [math.log(job.speedup) for cell in cells for job in cell.jobs if job.speedup and job.law == TARGET]
    return sum(logs) / len(logs) if logs else -math.inf
