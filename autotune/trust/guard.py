"""Run a trial until it can be believed, or as often as is allowed. What is not believed is never averaged in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import psutil

from autotune.runner import Outcome, Watcher
from autotune.samples import UnitResult
from autotune.settings import StudySettings
from autotune.status import Status
from autotune.trial import Trial
from autotune.trust.doubt import Doubt
from autotune.trust.drift import drift, visits
from autotune.trust.fairness import unfair

Run = Callable[[], Outcome]


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
class Guarded:
    """The attempt that counts, and the results of those that do not."""

    outcome: Outcome
    invalid: Sequence[Sequence[UnitResult]] = ()


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
        attempts: list[dict[str, Any]] = []
        invalid: list[Sequence[UnitResult]] = []
        while True:
            outcome = run()
            doubt = self._doubt(outcome, earlier)
            if doubt is None:
                return Guarded(_with(outcome, attempts=tuple(attempts)), invalid)
            attempts.append(_attempt(outcome.trial, doubt))
            if len(attempts) > self._study.max_repeats:
                marks = {"status": Status.INVALID, "cause": doubt.cause, "reason": doubt.reason}
                return Guarded(_with(outcome, attempts=tuple(attempts), **marks), invalid)
            invalid.append(outcome.results)
            earlier.append(outcome.trial.baseline_times)

    def _doubt(self, outcome: Outcome, earlier: Sequence[Any]) -> Doubt | None:
        self.watch.look()
        seen = self.watch.doubt(self._ours())
        if outcome.trial.status not in (Status.COMPLETE, Status.PRUNED):
            return None
        return seen or drift(visits(outcome.results), earlier, self._study.max_drift) or unfair(outcome.results)


def _with(outcome: Outcome, **values: Any) -> Outcome:
    return replace(outcome, trial=replace(outcome.trial, **values))


def _attempt(trial: Trial, doubt: Doubt) -> dict[str, Any]:
    return {"cause": str(doubt.cause), "reason": doubt.reason, "speedup": trial.speedup, "seconds": trial.seconds}
