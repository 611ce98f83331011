"""Measure arms in a cell: all of them on the same windows of prompts, in turns, and again where that is doubted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from autotune.plan import arm_order
from autotune.runner import Watcher
from autotune.samples import BASELINE, Arm, UnitResult
from autotune.schedule.plan import Cell
from autotune.trust.doubt import Doubt
from autotune.trust.drift import FEWEST, Times, drift, unsteady, visits
from autotune.trust.fairness import unfair
from autotune.trust.guard import Believed, Guard
from autotune.worker.client import Worker
from autotune.worker.protocol import split_at

WINDOW = "-window-"
Results = list[UnitResult]


@dataclass(frozen=True)
class Bench:
    """What cells are measured with. `bound` is study.max_drift."""

    worker: Worker
    guard: Guard
    watch: Watcher
    bound: float | None

    def measured(
        self, cell: Cell, split: str, arms: Sequence[Arm], num_prompts: int, windows: range, earlier: Sequence[Times]
    ) -> Believed[Results]:
        """`windows` of the cell; `earlier` are the baseline's times of what was measured before, by cell."""

        def measure() -> Results:
            return self._windows(cell, split_at(split, cell.context), arms, num_prompts, windows)

        names = [arm.name for arm in arms if arm.name != BASELINE]
        return self.guard.until_believed(
            measure, lambda now, before: self._doubt(cell, now, before, earlier) or unfair(now, names)
        )

    def _windows(self, cell: Cell, split: str, arms: Sequence[Arm], num_prompts: int, windows: range) -> Results:
        names, everything = [arm.name for arm in arms], range(num_prompts)
        self.worker.prepare(arms, split, cell.batch)
        results = []
        for done, window in enumerate(windows):
            self.watch(done, len(windows))
            unit = f"{cell.name}{WINDOW}{window}"
            results.append(self.worker.measure(unit, split, everything, 0, arm_order(names, window)))
        return results

    def _doubt(self, cell: Cell, now: Results, before: Results | None, earlier: Sequence[Times]) -> Doubt | None:
        """All windows of a cell are the same work: among few, none may lie far from another; many, and those of another
        time, are judged as a trial's are.
        """
        own = [replace(visit, unit=cell.name) for visit in visits(now)]
        known = [times for times in earlier if cell.name in times]
        again = None if before is None else baseline_times(cell, before)
        steady = unsteady(own, earlier, self.bound) if len(own) < FEWEST else None
        return steady or drift(own, known, self.bound, again)


def baseline_times(cell: Cell, results: Results) -> dict[str, list[float]]:
    """What is kept of a cell to compare later measurements with; nothing where nothing had a time."""
    seconds = [visit.seconds for visit in visits(results)]
    return {cell.name: seconds} if seconds else {}


def window_of(unit: str) -> int:
    return int(unit.rpartition(WINDOW)[2])
