"""Run a trial until it can be believed, or as often as is allowed. What is not believed is never averaged in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, Protocol, TypeVar

import psutil

from autotune.runner import Outcome, Watcher
from autotune.samples import UnitResult
from autotune.settings import StudySettings
from autotune.status import Status
from autotune.trial import Trial
from autotune.trust.doubt import Doubt
from autotune.trust.drift import drift, times, visits
from autotune.trust.fairness import unfair

T = TypeVar("T")
Run = Callable[[], Outcome]
TOLD = (Status.COMPLETE, Status.PRUNED)


class Watch(Protocol):
    """Looks at the device between measured windows."""

    def look(self) -> None: ...
    def doubt(self, ours: Sequence[int]) -> Doubt | None: ...


class NoWatch:
    """Where there is no device to look at."""

    def look(self) -> None:
        pass

    def doubt(self, ours: Sequence[int]) -> Doubt | None:
        return None


@dataclass(frozen=True)
class Believed(Generic[T]):
    """The last attempt, why even that is doubted, and all that were, with the reasons."""

    value: T
    doubt: Doubt | None
    doubted: Sequence[tuple[T, Doubt]]

    @property
    def invalid(self) -> list[T]:
        """The attempts that were thrown away."""
        return [value for value, _ in self.doubted if value is not self.value]


@dataclass(frozen=True)
class Guarded:
    """The attempt that counts; `believed` has those that do not."""

    outcome: Outcome
    believed: Believed[Outcome]

    @property
    def invalid(self) -> list[Sequence[UnitResult]]:
        """The results of the attempts that were thrown away."""
        return [attempt.results for attempt in self.believed.invalid]


def our_processes() -> list[int]:
    """This process and its children."""
    me = psutil.Process()
    return [me.pid, *(child.pid for child in me.children(recursive=True))]


def own_machine(trials: Sequence[Trial], worker: str) -> list[Trial]:
    """Those that were measured where this worker ("host:process") is; another machine's baseline is another."""
    host = worker.partition(":")[0]
    return [trial for trial in trials if trial.worker.partition(":")[0] in ("", host)]


class Guard:
    """Judges trials by what was recorded while they ran. `watch` is replaced once the device is known."""

    def __init__(
        self, study: StudySettings, watch: Watch | None = None, ours: Callable[[], Sequence[int]] = our_processes
    ) -> None:
        self._study, self._ours = study, ours
        self.watch: Watch = watch or NoWatch()

    def looking(self, step: Watcher) -> Watcher:
        """`step`, and a look at the device, between measured windows."""

        def between(done: int, planned: int) -> None:
            self.watch.look()
            step(done, planned)

        return between

    def run(self, run: Run, finished: Sequence[Trial]) -> Guarded:
        """Repeat what is doubted. The last attempt is marked invalid where it is doubted too."""
        earlier = [trial.baseline_times for trial in finished if trial.baseline_times]

        def judge(outcome: Outcome, before: Outcome | None) -> Doubt | None:
            again = None if before is None else before.trial.baseline_times
            return drift(visits(outcome.results), earlier, self._study.max_drift, again) or unfair(outcome.results)

        found = self.until_believed(run, judge, lambda outcome: outcome.trial.status in TOLD)
        outcome, attempts = found.value, tuple(_attempt(outcome.trial, doubt) for outcome, doubt in found.doubted)
        marks: dict[str, Any] = {"attempts": attempts}
        if found.doubt is not None:
            marks |= {"status": Status.INVALID, "cause": found.doubt.cause, "reason": found.doubt.reason}
        trial = replace(outcome.trial, **marks)
        return Guarded(replace(outcome, trial=trial), found)

    def until_believed(
        self, measure: Callable[[], T], judge: Callable[[T, T | None], Doubt | None],
        tells: Callable[[T], bool] = lambda value: True,
    ) -> Believed[T]:  # fmt: skip
        """What `measure` returns, measured again while the device or `judge` (of it, and of the attempt before) doubts
        it. What does not `tell` is no measurement, and is taken as it is.
        """
        doubted: list[tuple[T, Doubt]] = []
        while True:
            value = measure()
            self.watch.look()
            seen = self.watch.doubt(self._ours())
            doubt = (seen or judge(value, doubted[-1][0] if doubted else None)) if tells(value) else None
            if doubt is not None:
                doubted.append((value, doubt))
            if doubt is None or len(doubted) > self._study.max_repeats:
                return Believed(value, doubt, doubted)


def doubt_of(
    results: Sequence[UnitResult], before: Sequence[UnitResult] | None, arms: Sequence[str], study: StudySettings
) -> Doubt | None:
    """Of a measurement that stands alone, by its own records and those of the doubted attempt before it."""
    again = None if before is None else times(before)
    return drift(visits(results), (), study.max_drift, again) or unfair(results, arms)


def _attempt(trial: Trial, doubt: Doubt) -> dict[str, Any]:
    return {"cause": str(doubt.cause), "reason": doubt.reason, "speedup": trial.speedup, "seconds": trial.seconds}
