"""From the records of a study to a fitted model: which trials tell, what they measured, how well they were foretold."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import Any

from autotune.analysis import means
from autotune.model import cost, evidence
from autotune.model.point import Point, Scales
from autotune.model.predict import Model, Source, experience
from autotune.status import Cause, Status
from autotune.trial import Trial

Describe = Callable[[Mapping[str, Any]], Point | None]
Metric = str
DECODING = ("tpot", "tokens_per_step_cost")
PREDICTABLE = (*DECODING, "e2e", "output_tokens_per_s")
"""Objectives that follow from the time of steps. Shares of requests within limits do not."""


def sources(trials: Sequence[Trial], describe: Describe) -> list[Source]:
    """The trials that were measured, also those that were stopped early: on the units that they have."""
    offsets = unit_offsets(trials)
    found = []
    for trial in trials:
        point = describe(trial.parameters) if is_measured(trial) and trial.evidence else None
        if point is not None:
            gains = means(trial.gains)
            found.append(Source(trial.number, point, adjusted(gains, offsets), gains, evidence.read(trial.evidence)))
    return found


def is_measured(trial: Trial) -> bool:
    usual = trial.status in (Status.COMPLETE, Status.PRUNED) or trial.cause is Cause.LIMITS
    return usual and bool(trial.gains)


def unit_offsets(trials: Sequence[Trial]) -> dict[str, float]:
    """How much more than the mean unit a unit gains, from the complete trials."""
    found: dict[str, list[float]] = {}
    for trial in trials:
        if trial.status is Status.COMPLETE and trial.gains:
            gains = means(trial.gains)
            middle = fmean(gains.values())
            for unit, gain in gains.items():
                found.setdefault(unit, []).append(gain - middle)
    return {unit: fmean(values) for unit, values in found.items()}


def adjusted(gains: Mapping[str, float], offsets: Mapping[str, float]) -> float:
    """The mean gain as all units would show it."""
    return fmean(gain - offsets.get(unit, 0.0) for unit, gain in gains.items())


def learn(trials: Sequence[Trial], describe: Describe, scales: Scales, metric: Metric, seed: int = 0) -> Model | None:
    """None where no trial tells anything, or the objective is none that follows from steps."""
    if metric not in PREDICTABLE:
        return None
    told = sources(trials, describe)
    methods = sorted({source.point.method for source in told})
    fits = {
        method: cost.fit([source.units for source in told if source.point.method == method], seed) for method in methods
    }
    steps = {method: fitted for method, fitted in fits.items() if fitted is not None}
    if not steps:
        return None
    scale = experience(scores(trials))
    return Model(told, steps, scales, scale=scale, decoding_only=metric in DECODING)


def scores(trials: Sequence[Trial]) -> list[float]:
    """Errors of the predictions that were made before their trials, in the standard deviations of then."""
    offsets = unit_offsets(trials)
    return [
        (adjusted(means(trial.gains), offsets) - trial.prediction["gain"]) / trial.prediction["sd"]
        for trial in trials
        if is_measured(trial) and trial.prediction
    ]
