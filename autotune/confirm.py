"""Measure the winner and the runner-up again, on prompts that the search never saw. Only this number is announced."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from autotune import arms
from autotune.analysis import Gains, Verdict, gains, interval_of, verdict
from autotune.constraints import Found, broken, found_in
from autotune.errors import RunError
from autotune.inputs import Inputs
from autotune.metrics import OBJECTIVES, summary
from autotune.plan import steps
from autotune.runner import Watcher
from autotune.samples import BASELINE, UnitResult
from autotune.settings import Settings
from autotune.space import Space
from autotune.stats import Interval
from autotune.trial import Trial
from autotune.worker.client import Worker
from autotune.worker.protocol import WorkerProblem

WINNER, RUNNER_UP = "winner", "runner_up"
ATTEMPTS = 2


@dataclass(frozen=True)
class Confirmed:
    """One configuration on the held-out prompts."""

    arm: str
    trial: Trial
    gains: Gains
    interval: Interval
    verdict: Verdict
    metrics: dict[str, Any]
    limits: Sequence[Found] = ()


@dataclass(frozen=True)
class Confirmation:
    """`chosen` is what is announced, `why` the reason where it is not simply the search's winner."""

    chosen: Confirmed
    other: Confirmed | None
    between: Interval | None
    why: str
    baseline: dict[str, Any]
    results: Sequence[UnitResult]


def confirm(
    worker: Worker, settings: Settings, inputs: Inputs, contenders: Sequence[Trial], watch: Watcher
) -> Confirmation:
    """`contenders` are the winner of the search and, if there is one, the runner-up."""
    names = dict(zip((WINNER, RUNNER_UP), contenders, strict=False))
    results = _measured(worker, settings, inputs.counts["confirm"], names, watch)
    metric = OBJECTIVES[settings.objective.metric]
    found = {name: _confirmed(name, trial, results, settings) for name, trial in names.items()}
    between = None
    if RUNNER_UP in found:
        between = interval_of(gains(results, RUNNER_UP, metric, against=WINNER), settings.study)
    name, why = choose(found, between, inputs.space)
    name, why = by_limits(found, name, why)
    other = next((entry for key, entry in found.items() if key != name), None)
    return Confirmation(found[name], other, between, why, summary([r.runs[BASELINE] for r in results]), results)


def choose(found: dict[str, Confirmed], between: Interval | None, space: Space) -> tuple[str, str]:
    """The winner, unless it lost tokens, or the runner-up is clearly better, or equal and lossless or simpler."""
    if between is None or found[RUNNER_UP].verdict.reason:
        return WINNER, ""
    if found[WINNER].verdict.reason:
        return RUNNER_UP, "the search's winner was not lossless on the held-out prompts; the runner-up was"
    if between.above_zero:
        return RUNNER_UP, "the runner-up of the search was clearly faster on the held-out prompts"
    simplicity = {
        name: (not entry.verdict.lossless, *space.simplicity(entry.trial.parameters)) for name, entry in found.items()
    }
    if between.contains_zero and simplicity[RUNNER_UP] < simplicity[WINNER]:
        return RUNNER_UP, "the two best tie on the held-out prompts; the simpler one was taken"
    return (
        WINNER,
        "the two best tie on the held-out prompts; the simpler one was taken" if between.contains_zero else "",
    )


def by_limits(found: dict[str, Confirmed], name: str, why: str) -> tuple[str, str]:
    """`name`, unless it breaks a limit on the held-out prompts and the other, which lost nothing, keeps them all."""
    other = next((entry for key, entry in found.items() if key != name), None)
    if other is None or other.verdict.reason or broken(other.limits) or not broken(found[name].limits):
        return name, why
    return other.arm, "the faster of the two does not keep the limits on the held-out prompts; the other does"


def _measured(
    worker: Worker, settings: Settings, num_prompts: int, names: dict[str, Trial], watch: Watcher
) -> list[UnitResult]:
    """All held-out units; a worker that fails is given one more chance, from the beginning."""
    contenders = [arms.candidate(settings, trial.parameters, name) for name, trial in names.items()]
    plan = steps(settings.load, num_prompts, settings.load.confirm_passes, (BASELINE, *names), settings.load.passes)
    for attempt in range(1, ATTEMPTS + 1):
        results: list[UnitResult] = []
        try:
            worker.prepare([arms.baseline(settings), *contenders], "confirm")
            for done, step in enumerate(plan):
                watch(done, len(plan))
                results.append(
                    worker.measure(step.unit, "confirm", step.indices, step.repeat, step.order, step.arrivals)
                )
            return results
        except WorkerProblem as problem:
            if attempt == ATTEMPTS:
                raise RunError(f"the winner could not be confirmed: {problem}; the trials are kept") from problem
    raise AssertionError("unreachable")


def _confirmed(name: str, trial: Trial, results: list[UnitResult], settings: Settings) -> Confirmed:
    measured = gains(results, name, OBJECTIVES[settings.objective.metric])
    if not measured:
        raise RunError(
            "no held-out answer had two tokens or more; raise workload.max_tokens or choose another workload"
        )
    found = interval_of(measured, settings.study)
    metrics = summary([result.runs[name] for result in results])
    return Confirmed(
        name,
        trial,
        measured,
        found,
        verdict(results, name, trial.output_law),
        metrics,
        found_in(settings.constraints, metrics, found.factor),
    )
