"""Several objectives: which configurations no other beats, as far as the measurements can tell.

Two are compared by the units that both measured, metric by metric, with Student's interval of the paired log-ratio. One
beats the other where on every metric it is shown to lose no more than the `margin` that matters (study.tie_margin), and
on at least one it is shown to be better by more than that. What is not shown leaves both on the front, so that noise
makes a front longer and never takes a good configuration away. No speculation takes part: it is 1 on every metric.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from autotune import arms
from autotune.analysis import Gains, means
from autotune.objectives import Objectives
from autotune.settings import StudySettings
from autotune.stats import student_bounds
from autotune.trial import Trial


@dataclass(frozen=True)
class Point:
    """A configuration, its gains metric by metric; no speculation has no trial and no gains."""

    trial: Trial | None
    gains: tuple[Gains, ...]


NO_SPECULATION = Point(None, ())


def beats(left: Point, right: Point, study: StudySettings) -> bool:
    """Whether `left` is shown to be as good as `right` everywhere, and better somewhere."""
    margin, better = math.log1p(study.tie_margin), False
    for metric in range(len(left.gains or right.gains)):
        difference = _difference(left, right, metric)
        if len(difference) < 2:
            return False
        low, _ = student_bounds(difference, study.confidence)
        if low < -margin:
            return False
        better = better or (low > 0 and float(difference.mean()) > margin)
    return better


def front(points: Sequence[Point], study: StudySettings) -> list[Point]:
    """Those that none of the others beats."""
    return [point for point in points if not any(beats(other, point, study) for other in points if other is not point)]


def points(trials: Sequence[Trial], objectives: Objectives) -> list[Point]:
    """No speculation, and every configuration that was measured on every metric."""
    measured = [trial for trial in trials if objectives.factors_of(trial)]
    return [NO_SPECULATION, *(Point(trial, tuple(objectives.gains_of(trial))) for trial in measured)]


def record(trials: Sequence[Trial], taken: Trial, objectives: Objectives, study: StudySettings) -> dict[str, Any]:
    """For details.pareto, from the search's own numbers; the front by the first metric, its best first.

    A point of trial null is no speculation.
    """
    factors = [found for trial in trials if (found := objectives.factors_of(trial))]
    scores = [objectives.rule.score([math.log(factor) for factor in each]) for each in factors]
    every = sorted(points(trials, objectives), key=lambda point: -_values(point, objectives)[0])
    kept = front(every, study)
    return {
        "objectives": objectives.names,
        "rule": objectives.rule.words,
        "no_speculation_is_best": objectives.rule.score([0.0] * len(objectives.names)) > max(scores),
        "front": [_entry(point, taken, objectives) for point in kept],
        "dominated": [_entry(point, taken, objectives) for point in every if point not in kept],
    }


def _difference(left: Point, right: Point, metric: int) -> Any:
    """Per unit that both have, the gain of `left` over that of `right`; no speculation has every unit, at 0."""
    ours, theirs = (means(point.gains[metric]) if point.gains else None for point in (left, right))
    known = [one for one in (ours, theirs) if one is not None]
    units = [unit for unit in known[0] if unit in known[-1]]
    return np.array([(ours or {}).get(unit, 0.0) - (theirs or {}).get(unit, 0.0) for unit in units])


def _values(point: Point, objectives: Objectives) -> list[float]:
    return [1.0] * len(objectives.metrics) if point.trial is None else objectives.factors_of(point.trial)


def _entry(point: Point, taken: Trial, objectives: Objectives) -> dict[str, Any]:
    trial, names = point.trial, objectives.names
    values = dict(zip(names, _values(point, objectives), strict=True))
    if trial is None:
        return {"trial": None, "parameters": {}, "values": values, "intervals": {}, "chosen": False}
    bounds = {names[0]: trial.interval, **{name: trial.further[name].interval for name in names[1:]}}
    return {
        "trial": trial.number,
        "parameters": arms.shown(trial.parameters),
        "values": values,
        "intervals": bounds,
        "chosen": trial.number == taken.number,
    }


def sentences(found: Mapping[str, Any]) -> list[str]:
    """What a reader must know of the front, besides its table."""
    names, kept, beaten = " and ".join(found["objectives"]), found["front"], found["dominated"]
    count = f"{len(kept)} of {len(kept) + len(beaten)} points (no speculation is one)"
    stands = " By this rule no speculation is better than all of them." if found["no_speculation_is_best"] else ""
    return [f"On {names} together, {count} are not shown to be beaten by another. The rule is {found['rule']}.{stands}"]
