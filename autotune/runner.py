"""Run one trial: measure its arms unit by unit, stop where there is nothing left to learn, say how it ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from autotune import arms
from autotune.analysis import Gains, gains, interruptions, pooled, verdict
from autotune.enough import enough, most_passes
from autotune.limits import judged
from autotune.metrics import OBJECTIVES
from autotune.plan import Step
from autotune.pruning import Pruner, incumbent_of
from autotune.robust.interval import value_of
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
        self._metric, self._counts = OBJECTIVES[settings.objective.metric], counts
        passes = load.confirm_passes if confirming else load.passes
        first = most_passes(load.passes, settings) if confirming else 0
        most = most_passes(passes, settings)
        self._plan = visits(load, (parts or whole(counts))[split], most, (BASELINE, CANDIDATE), first)
        self._enough = enough(settings, len(self._plan) // most, passes, early=not confirming)

    @property
    def confirm_weight(self) -> float:
        """The confirmation's length in trials: its prompts, passes and arms against a trial's."""
        load, counts = self._settings.load, self._counts
        return 1.5 * counts["confirm"] * load.confirm_passes / (counts["search"] * load.passes)

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

    def _pruner(self, finished: list[Trial], again: bool) -> Pruner:
        study = self._settings.study
        incumbent = None if again else incumbent_of(finished)
        return Pruner(
            incumbent, self.units, alpha=study.prune_alpha, first=study.prune_min_units, mix=self._settings.mix
        )

    def _measure(self, trial: Trial, results: list[UnitResult], pruner: Pruner) -> Trial:
        measured: Gains = {}
        for done, step in enumerate(self._plan, start=1):
            self._watch(done - 1, self._enough.expected(done - 1))
            results.append(self._visit(step))
            reason = verdict(results, CANDIDATE, trial.output_law).reason
            if reason:
                return replace(trial, status=Status.FAILED, cause=Cause.LOSSY, reason=reason)
            measured = pooled([measured, gains(results[-1:], CANDIDATE, self._metric)])
            if pruner.should_stop(measured):
                reason = f"stopped after {len(measured)} of {self.units} units"
                return replace(trial, status=Status.PRUNED, cause=Cause.WORSE, reason=reason)
            ended = self._enough.ends(measured, done)
            if ended is not None:
                trial = replace(trial, ended=ended)
                break
        if not measured:
            return replace(
                trial, status=Status.FAILED, cause=Cause.UNMEASURED, reason="no answer had two tokens or more"
            )
        return trial

    def _visit(self, step: Step) -> UnitResult:
        return self._worker.measure(step.unit, self._split, step.indices, step.repeat, step.order, step.arrivals)

    def _concluded(self, trial: Trial, results: list[UnitResult], earlier: list[Trial]) -> Trial:
        """The trial with its numbers, as far as it was measured."""
        if not results:
            return trial
        own = gains(results, CANDIDATE, self._metric)
        together = pooled([*(other.own_gains for other in earlier), own])
        found = value_of(together, self._settings) if together else None
        return replace(
            trial,
            speedup=found.factor if found else None,
            interval=found.factor_bounds if found else None,
            interval_method=found.method if found else "",
            units=len(together),
            lossless=verdict(results, CANDIDATE, trial.output_law).to_json(),
            metrics=summary_of(results, CANDIDATE),
            baseline=summary_of(results, BASELINE),
            gains=together,
            own_gains=own,
            repeats=tuple(other.number for other in earlier),
            baseline_times=drift.times(results),
            effects=effects.effects(results),
            warnings=tuple(filter(None, [interruptions(results)])),
        )
