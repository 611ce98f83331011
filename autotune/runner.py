"""Run one trial: measure its arms unit by unit, stop where there is nothing left to learn, say how it ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from autotune import arms
from autotune.analysis import Gains, interruptions, pooled, verdict
from autotune.enough import all_end, enough, most_passes
from autotune.limits import judged
from autotune.objectives import factor, objectives_of
from autotune.plan import Step
from autotune.pruning import Pruners, incumbents
from autotune.robust.parts import Parts, visits, whole
from autotune.robust.shares import summary_of
from autotune.samples import BASELINE, CANDIDATE, UnitResult
from autotune.settings import Settings
from autotune.status import Cause, Status
from autotune.trial import Trial
from autotune.trust import drift, effects
from autotune.worker.client import Worker
from autotune.worker.protocol import Crashed, Hung, OutOfMemory, Refused, WorkerProblem

ENDINGS: dict[type[WorkerProblem], tuple[Status, Cause]] = {
    Refused: (Status.INFEASIBLE, Cause.REFUSED),
    OutOfMemory: (Status.INFEASIBLE, Cause.OUT_OF_MEMORY),
    Crashed: (Status.FAILED, Cause.CRASHED),
    Hung: (Status.FAILED, Cause.HUNG),
}
Watcher = Callable[[int, int], None]
"""Called between measured windows with the steps done and planned."""


@dataclass(frozen=True)
class Outcome:
    """A trial with its raw results."""

    trial: Trial
    results: Sequence[UnitResult]


class TrialRunner:
    """Measures on the prompts of one split; `counts` says how many each split has, `parts` of which workload."""

    def __init__(
        self,
        worker: Worker,
        settings: Settings,
        counts: Mapping[str, int],
        watch: Watcher,
        split: str = "search",
        parts: Parts | None = None,
    ) -> None:
        load, confirming = settings.load, split == "confirm"
        self._worker, self._settings, self._watch, self._split = worker, settings, watch, split
        self._objectives, self._counts = objectives_of(settings), counts
        passes = load.confirm_passes if confirming else load.passes
        first = most_passes(load.passes, settings) if confirming else 0
        most = most_passes(passes, settings)
        self._plan = visits(load, (parts or whole(counts))[split], most, (BASELINE, CANDIDATE), first)
        self._enough = enough(settings, len(self._plan) // most, passes, early=not confirming)

    @property
    def confirm_weight(self) -> float:
        """The confirmation's length in trials: its prompts, passes and arms against a trial's."""
        load, counts = self._settings.load, self._counts
        arms_over_two = (1 + self._settings.study.finalists) / 2
        return arms_over_two * counts["confirm"] * load.confirm_passes / (counts["search"] * load.passes)

    @property
    def units(self) -> int:
        return len({step.unit for step in self._plan[: self._enough.planned]})

    def run(self, number: int, parameters: Mapping[str, Any], finished: Sequence[Trial] = ()) -> Outcome:
        """Measure `parameters`. Earlier complete trials of the same configuration are pooled in, and it is not
        pruned.
        """
        began, started = time.perf_counter(), datetime.now(UTC).isoformat(timespec="seconds")
        law = arms.output_law(self._settings, parameters)
        trial = Trial(
            number, dict(parameters), Status.COMPLETE, units_planned=self.units, started=started, output_law=law
        )
        earlier = [other for other in finished if other.key == trial.key and other.status is Status.COMPLETE]
        results: list[UnitResult] = []
        try:
            self._worker.prepare(
                [arms.baseline(self._settings), arms.candidate(self._settings, parameters)], self._split
            )
            trial = self._measure(trial, results, self._pruner(list(finished), bool(earlier)))
        except WorkerProblem as problem:
            status, cause = ENDINGS[type(problem)]
            trial = replace(trial, status=status, cause=cause, reason=str(problem))
        trial = judged(self._concluded(trial, results, earlier), self._settings.constraints)
        return Outcome(replace(trial, seconds=time.perf_counter() - began), results)

    def probe(self, parameters: Mapping[str, Any], visits: int) -> Trial:
        """The configuration on the first few units only: what it counts there, not how fast it is."""
        short = copy(self)
        short._plan = self._plan[:visits]
        return short.run(-1, parameters).trial

    def _pruner(self, finished: list[Trial], again: bool) -> Pruners:
        study = self._settings.study
        best, mix = [] if again else incumbents(finished, self._objectives), self._settings.mix
        return Pruners(best, self.units, alpha=study.prune_alpha, first=study.prune_min_units, mix=mix)

    def _measure(self, trial: Trial, results: list[UnitResult], pruner: Pruners) -> Trial:
        measured: list[Gains] = [{} for _ in self._objectives.metrics]
        for done, step in enumerate(self._plan, start=1):
            self._watch(done - 1, self._enough.expected(done - 1))
            results.append(self._visit(step))
            reason = verdict(results, CANDIDATE, trial.output_law).reason
            if reason:
                return replace(trial, status=Status.FAILED, cause=Cause.LOSSY, reason=reason)
            new = self._objectives.gains(results[-1:], CANDIDATE)
            measured = [pooled(pair) for pair in zip(measured, new, strict=True)]
            if pruner.should_stop(measured):
                reason = f"stopped after {len(measured[0])} of {self.units} units"
                return replace(trial, status=Status.PRUNED, cause=Cause.WORSE, reason=reason)
            ended = all_end(self._enough, measured, done)
            if ended is not None:
                trial = replace(trial, ended=ended)
                break
        if missing := [name for name, found in zip(self._objectives.names, measured, strict=True) if not found]:
            why = f"nothing had a value of {missing[0]}" if measured[0] else "no answer had two tokens or more"
            return replace(trial, status=Status.FAILED, cause=Cause.UNMEASURED, reason=why)
        return trial

    def _visit(self, step: Step) -> UnitResult:
        return self._worker.measure(step.unit, self._split, step.indices, step.repeat, step.order, step.arrivals)

    def _concluded(self, trial: Trial, results: list[UnitResult], earlier: list[Trial]) -> Trial:
        """The trial with its numbers, as far as it was measured."""
        if not results:
            return trial
        names, settings = self._objectives.names, self._settings
        own, *rest = self._objectives.gains(results, CANDIDATE)
        found = factor(own, [other.own_gains for other in earlier], settings)
        further = {
            name: factor(each, [other.further[name].own_gains for other in earlier if name in other.further], settings)
            for name, each in zip(names[1:], rest, strict=True)
        }
        trial = replace(
            trial,
            speedup=found.factor if found else None,
            interval=found.interval if found else None,
            interval_method=found.interval_method if found else "",
            units=len(found.gains) if found else 0,
            lossless=verdict(results, CANDIDATE, trial.output_law).to_json(),
            metrics=summary_of(results, CANDIDATE),
            baseline=summary_of(results, BASELINE),
            gains=found.gains if found else {},
            own_gains=own,
            further={name: each for name, each in further.items() if each is not None},
            repeats=tuple(other.number for other in earlier),
            baseline_times=drift.times(results),
            effects=effects.effects(results),
            warnings=tuple(filter(None, [interruptions(results)])),
        )
        return self._objectives.scored(trial)
