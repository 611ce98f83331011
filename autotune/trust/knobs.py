"""After the search: which knobs did anything, asked where trials do not tell, and which configurations are left."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from autotune import arms
from autotune.analysis import Gains, interval_of, paired
from autotune.dimension import METHOD
from autotune.objectives import factor, objectives_of
from autotune.settings import Settings, StudySettings
from autotune.space import Space
from autotune.status import Status
from autotune.trial import Factor, Trial, ranking
from autotune.trust.effects import DeadKnob, Knob, Knobs, judge, knob_of, merged, same

Parameters = Mapping[str, Any]
Probe = Callable[[Parameters], Trial]
"""Measures a configuration on few units, for its counters."""


def checked(trials: Sequence[Trial], settings: Settings, probe: Probe | None) -> Knobs:
    """What the trials show, and what changing the best configuration's unjudged knobs, one at a time, shows.

    Knobs of the engine are left to the trials: they may cost time without changing a count, and a probe is too short to
    tell.
    """
    study = settings.study
    found = judge(trials, lambda left, right: alike(left, right, study))
    best = next(iter(ranking(list(trials))), None)
    if best is None or probe is None:
        return found
    dead, alive, unknown = list(found.dead), list(found.alive), list[Knob]()
    for knob in found.unknown:
        answer = _probed(knob, best, trials, settings, probe)
        if isinstance(answer, DeadKnob):
            dead.append(answer)
        else:
            (alive if answer else unknown).append(knob)
    return Knobs(tuple(dead), tuple(alive), tuple(unknown))


def _probed(knob: Knob, best: Trial, trials: Sequence[Trial], settings: Settings, probe: Probe) -> DeadKnob | bool:
    """The dead knob, True for a live one, False where it cannot be told."""
    path = knob[1]
    ours = path.startswith("method.") and path in best.parameters and knob == knob_of(best.parameters, path)
    value = other_value(path, best, trials, settings) if ours else None
    if value is None:
        return False
    answer = probe({**best.parameters, path: value})
    equal = same(best.effects, answer.effects) if answer.status is Status.COMPLETE else None
    if equal is None:
        return False
    if not equal or not alike(best, answer, settings.study):
        return True
    return DeadKnob(knob, (best.parameters[path], value), len(answer.effects), ())


def other_value(path: str, best: Trial, trials: Sequence[Trial], settings: Settings) -> Any:
    """Of the values that were tried, the one furthest from the best's with which it is a legal configuration."""
    own, method = best.parameters.get(path), best.parameters.get(METHOD)
    near = [trial.parameters for trial in trials if trial.parameters.get(METHOD) == method]
    tried = {str(parameters[path]): parameters[path] for parameters in near if path in parameters}.values()
    values = [value for value in tried if value not in (None, own)]
    if all(isinstance(value, int | float) for value in (own, *values)):
        values.sort(key=lambda value: -abs(value - own))
    return next((value for value in values if _legal({**best.parameters, path: value}, settings)), None)


def _legal(parameters: Parameters, settings: Settings) -> bool:
    from engine.errors import ConfigError

    try:
        arms.output_law(settings, parameters)
    except ConfigError:
        return False
    return True


def alike(left: Trial, right: Trial, study: StudySettings) -> bool:
    """As fast as each other, and as good on every further objective, by the units that both measured."""
    further = left.further.keys() & right.further.keys()
    return _alike(left.own_gains, right.own_gains, study) and all(
        _alike(left.further[name].own_gains, right.further[name].own_gains, study) for name in further
    )


def _alike(left: Gains, right: Gains, study: StudySettings) -> bool:
    apart = paired(left, right)
    if not apart:
        return False
    found = interval_of(apart, study)
    return found.contains_zero or abs(found.mean) < math.log1p(study.tie_margin)


def contenders(trials: Sequence[Trial], dead: Sequence[DeadKnob], space: Space, settings: Settings) -> list[Trial]:
    """The configurations that were measured to the end, dead knobs left out, best first."""
    scored = objectives_of(settings).scored
    found = [scored(_together(group, space, settings)) for group in merged(trials, dead)]
    return sorted(found, key=lambda trial: trial.rank, reverse=True)


def _together(group: Sequence[Trial], space: Space, settings: Settings) -> Trial:
    """The measurements of a group as one trial: that of its simplest parameters, the last of those."""
    if len({trial.key for trial in group}) == 1:
        return group[-1]
    simplest = min(reversed(group), key=lambda trial: space.simplicity(trial.parameters))
    found = factor(simplest.own_gains, [trial.own_gains for trial in group if trial is not simplest], settings)
    assert found is not None  # each of the group was measured to the end
    return replace(
        simplest,
        gains=found.gains,
        units=len(found.gains),
        speedup=found.factor,
        interval=found.interval,
        interval_method=found.interval_method,
        further={name: _pooled(name, simplest, group, settings) for name in simplest.further},
        repeats=tuple(trial.number for trial in group if trial is not simplest),
    )


def _pooled(name: str, simplest: Trial, group: Sequence[Trial], settings: Settings) -> Factor:
    """Of one further objective."""
    others = [trial.further[name].own_gains for trial in group if trial is not simplest and name in trial.further]
    found = factor(simplest.further[name].own_gains, others, settings)
    return found or simplest.further[name]
