"""What a schedule's study measures: every cell, and more passes where it is unsure what is best, if there is time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from autotune import arms
from autotune.analysis import gains, interval_of, pooled, verdict
from autotune.errors import RunError
from autotune.metrics import OBJECTIVES, summary
from autotune.samples import BASELINE, Arm
from autotune.schedule import choose as choosing
from autotune.schedule import gathered
from autotune.schedule.cells import Bench, Results, baseline_times
from autotune.schedule.choose import Choice, unsure
from autotune.schedule.plan import TOKENS, Cell, Plan
from autotune.settings import Settings
from autotune.status import Cause, Status
from autotune.stop_rule import Budget
from autotune.trial import Trial
from autotune.trust.doubt import Doubt
from autotune.trust.guard import Believed

LEAST = 2  # windows of a cell, whatever the budget: one has no interval
RESAMPLES = 1000
CONFIRMED_ARMS = 3  # the schedule, the best fixed length, no speculation
Write = Callable[[Cell, list[Trial], Believed[Results]], list[Trial]]


@dataclass(frozen=True)
class Ended:
    """Why there are fewer windows than planned, and what became of those that were added; empty where neither is."""

    stopped: str = ""
    added: str = ""


@dataclass
class Search:
    """Grows `trials`. A trial is one draft length in one cell; it pools the earlier ones of the same. `write` keeps
    what was measured and returns it as it was kept.
    """

    settings: Settings
    plan: Plan
    bench: Bench
    counts: dict[str, int]
    budget: Budget
    trials: list[Trial]
    write: Write
    stretch: Callable[[str, float], None]

    def run(self) -> Ended:
        """Measure what is missing, and what is unsure."""
        self._refuse_lossy()
        for cell, count in self._planned():
            if self._windows(cell) >= LEAST and not self._room:
                return Ended(stopped=self._spent())
            self._measure(cell, count)
        return Ended(added=self._added())

    def _planned(self) -> Iterator[tuple[Cell, int]]:
        """What is missing of the plan: cell by cell, or, where time may run out, pass by pass."""
        passes = self.settings.load.passes
        for goal in [passes] if self.settings.study.budget_minutes is None else range(min(LEAST, passes), passes + 1):
            for cell in self.plan.cells:
                if (missing := goal - self._windows(cell)) > 0:
                    yield cell, missing

    def _added(self) -> str:
        """Further passes, one at a time, wherever it is unsure what is best. Why that ended."""
        study, added = self.settings.study, 0
        if study.precision is None and study.budget_minutes is None:
            return ""
        while left := self._unsure():
            open_ = [cell for cell in left if self._windows(cell) < study.max_passes]
            if not open_:
                return f"{_sizes(left)} stayed unsure after {study.max_passes} passes, the most of study.max_passes."
            for cell in open_:
                if not self._room:
                    return f"{_sizes(left)} stayed unsure: {self._spent()}."
                self._measure(cell, 1)
                added += 1
        return f"{added} windows more than planned made every batch size sure." if added else ""

    def _unsure(self) -> list[Cell]:
        study = self.settings.study
        narrow = study.tie_margin if study.precision is None else study.precision
        found = gathered.gains(self.trials, self.plan)
        sizes = unsure(self.choice().schedule, found, self.plan.tokens, self.plan.weights, study.confidence, narrow)
        return [cell for cell in self.plan.cells if cell.batch in sizes]

    def choice(self) -> Choice:
        """What is best by all that is measured."""
        found, study = gathered.gains(self.trials, self.plan), self.settings.study
        for batch, rows in found.items():
            if min(map(len, rows)) < LEAST:
                raise RunError(f"batch size {batch} has no two windows with a value; raise workload.max_tokens")
        return choosing.choose(found, self.plan.tokens, self.plan.weights, confidence=study.confidence,
                      resamples=min(study.resamples, RESAMPLES), seed=study.seed)  # fmt: skip

    def _windows(self, cell: Cell) -> int:
        return gathered.windows(self.trials, cell, self.plan.tokens[1])

    @property
    def _room(self) -> bool:
        """Whether the time suffices for another window and for the confirmation."""
        each = [trial.seconds / trial.units_planned for trial in self.trials if trial.units_planned]
        window = len(self.plan.tokens[1:]) * sum(each) / len(each) if each else 0.0
        share = CONFIRMED_ARMS / len(self.plan.tokens) * self.counts["confirm"] / self.counts["search"]
        return self.budget.allows(window * (1 + share * len(self.plan.cells) * self.settings.load.confirm_passes))

    def _spent(self) -> str:
        return f"study.budget_minutes={self.settings.study.budget_minutes:g} is spent but for the confirmation"

    def _measure(self, cell: Cell, count: int) -> None:
        options = [arms.candidate(self.settings, {TOKENS: count}, str(count)) for count in self.plan.tokens[1:]]
        everything = [arms.baseline(self.settings), *options]
        began, started = time.perf_counter(), datetime.now(UTC).isoformat(timespec="seconds")
        first, earlier = self._windows(cell), [trial.baseline_times for trial in self._entries()]
        windows = range(first, first + count)
        self.stretch(cell.name, 1.0)
        believed = self.bench.measured(cell, "search", everything, self.counts["search"], windows, earlier)
        seconds = (time.perf_counter() - began) / len(options)
        trials = [replace(self._trial(cell, arm, believed), started=started, seconds=seconds) for arm in options]
        numbered = [replace(trial, number=len(self.trials) + place) for place, trial in enumerate(trials)]
        self.trials += self.write(cell, numbered, believed)
        self._refuse_lossy()

    def _refuse_lossy(self) -> None:
        for trial in self.trials:
            if trial.cause is Cause.LOSSY:
                where = f"{trial.parameters[TOKENS]} tokens at batch size {trial.parameters['load.concurrency']}"
                raise RunError(f"{where}: {trial.reason}")

    def _entries(self) -> list[Trial]:
        """One trial of everything that was measured together."""
        return [trial for trial in self.trials if trial.parameters[TOKENS] == self.plan.tokens[1]]

    def _trial(self, cell: Cell, arm: Arm, believed: Believed[Results]) -> Trial:
        results, metric = believed.value, OBJECTIVES[self.settings.objective.metric]
        law = arms.output_law(self.settings, {})
        earlier = gathered.of_cell(self.trials, cell, int(arm.name))
        own, judged = gains(results, arm.name, metric), verdict(results, arm.name, law)
        together = pooled([*(trial.own_gains for trial in earlier), own])
        interval = interval_of(together, self.settings.study) if together else None
        status, cause, reason = _ending(judged.reason, believed)
        return Trial(
            0,
            {**cell.parameters, TOKENS: int(arm.name)},
            status,
            cause,
            reason,
            speedup=interval.factor if interval else None,
            interval=interval.factor_bounds if interval else None,
            interval_method=interval.method if interval else "",
            units=len(together),
            units_planned=len(results),
            lossless=judged.to_json(),
            metrics=summary([result.runs[arm.name] for result in results]),
            baseline=summary([result.runs[BASELINE] for result in results]),
            gains=together,
            own_gains=own,
            repeats=tuple(trial.number for trial in earlier),
            output_law=law,
            attempts=tuple(_attempt(doubt) for _, doubt in believed.doubted),
            baseline_times=baseline_times(cell, results),
        )


def _ending(lossy: str, believed: Believed[Any]) -> tuple[Status, Cause, str]:
    """What is doubted to the end is all there is of its cell: it is used, and marked."""
    if lossy:
        return Status.FAILED, Cause.LOSSY, lossy
    if believed.doubt is not None:
        return Status.INVALID, believed.doubt.cause, believed.doubt.reason
    return Status.COMPLETE, Cause.NONE, ""


def _attempt(doubt: Doubt) -> dict[str, Any]:
    return {"cause": str(doubt.cause), "reason": doubt.reason, "speedup": None, "seconds": None}


def _sizes(cells: Sequence[Cell]) -> str:
    sizes = sorted({cell.batch for cell in cells})
    return f"Batch size{'s' if len(sizes) > 1 else ''} {', '.join(map(str, sizes))}"
