"""When the search begins no further trial.

1. As many trials as were asked for have been made, or every configuration of the space has been tried.
2. The budget, less the expected time of the confirmation, does not suffice for another trial of the usual length.
3. Nothing can beat the best any more: the model of cost and acceptance says so of all that is left (where there is
   one), or the last `patience` configurations all were no better than the best before them by more than the tie
   margin. By the rule of three, after n such configurations in a row the chance that the next one is better is below
   3 / n, at 95 %.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from autotune.settings import StudySettings
from autotune.status import Status
from autotune.trial import Trial

Clock = Callable[[], float]


class Budget:
    """The minutes of a command, counted from here on; without end where there are none."""

    def __init__(self, minutes: float | None, clock: Clock = time.perf_counter) -> None:
        self._clock = clock
        self._end = math.inf if minutes is None else clock() + 60 * minutes

    @property
    def left(self) -> float:
        """Seconds."""
        return self._end - self._clock()

    def allows(self, seconds: float) -> bool:
        return self.left >= seconds


def usual_seconds(trials: Sequence[Trial]) -> float:
    """How long a trial takes that is measured to the end; 0 where none is known."""
    whole = [trial.seconds for trial in trials if trial.status is Status.COMPLETE]
    return median(whole or [trial.seconds for trial in trials] or [0.0])


@dataclass(frozen=True)
class StopRule:
    """`total` trials at most; the confirmation takes as long as `confirm_weight` trials."""

    study: StudySettings
    total: int
    confirm_weight: float
    budget: Budget
    nothing_left: Callable[[], str] = lambda: ""

    def reason(self, trials: Sequence[Trial], done: int | None = None) -> str | None:
        """Why no further trial begins, None where one does, "" where that was the plan. One trial is always made.

        `trials` were measured; `done` counts what needs no measurement too.
        """
        if (len(trials) if done is None else done) >= self.total:
            return ""
        if not trials:
            return None
        return self._spent(trials) or self._impossible(trials) or self._hopeless(trials) or None

    def _impossible(self, trials: Sequence[Trial]) -> str:
        why = self.nothing_left()
        return f"{why}; {len(trials)} of {self.total} trials were enough" if why else ""

    def _spent(self, trials: Sequence[Trial]) -> str:
        each = usual_seconds(trials)
        if self.budget.allows(each * (1 + self.confirm_weight)):
            return ""
        minutes = self.study.budget_minutes
        return (
            f"study.budget_minutes={minutes:g} is spent but for the confirmation (about "
            f"{each * self.confirm_weight:.0f} s), so the search ends after {len(trials)} of {self.total} trials"
        )

    def _hopeless(self, trials: Sequence[Trial]) -> str:
        patience = self.study.patience
        waited = without_progress(trials, self.study.tie_margin)
        if patience is None or waited < patience or len(trials) < self.study.startup_trials:
            return ""
        return (
            f"the last {waited} configurations were no better than the best before them, so the search ends after "
            f"{len(trials)} of {self.total} trials (study.patience={patience})"
        )


def without_progress(trials: Sequence[Trial], margin: float) -> int:
    """How many configurations were tried since the last that beat the best before it by more than `margin`."""
    best: tuple[float, ...] = ()
    waited, seen = 0, set()
    for trial in trials:
        new = trial.key not in seen
        seen.add(trial.key)
        marks = _marks(trial)
        if trial.status is Status.COMPLETE and _beyond(marks, best, margin):
            best, waited = tuple(map(max, marks, best)) if best else marks, 0
        elif new and trial.status in (Status.COMPLETE, Status.PRUNED, Status.INFEASIBLE):
            waited += 1
    return waited


def _marks(trial: Trial) -> tuple[float, ...]:
    """What may be progress: the factor of each objective, and of several what their rule goes by."""
    factors = (trial.speedup or 0.0, *(each.factor for each in trial.further.values()))
    return (*factors, *(math.exp(part) for part in trial.score))


def _beyond(marks: tuple[float, ...], best: tuple[float, ...], margin: float) -> bool:
    return not best or any(mark > before * (1 + margin) for mark, before in zip(marks, best, strict=False))
