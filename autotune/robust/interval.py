"""The one number of a mix with its interval, and the difference between two configurations, both stratified: units are
drawn anew within their workload, so that how many of each there are is no part of the luck.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from autotune.analysis import Gains, interval_of
from autotune.robust.mix import MEAN, REGRET, WORST, Mix, by_workload
from autotune.settings import Settings, StudySettings
from autotune.stats import FEW_UNITS, Interval, Values, resampled_means

Levels = Mapping[str, Any]
"""By workload: a number, or an array of as many draws for each."""


def value_of(measured: Gains, settings: Settings) -> Interval:
    """The mean log-gain of a study with one workload; of several the value that the search goes by."""
    if settings.mix is None or not by_workload(measured):
        return interval_of(measured, settings.study)
    rule = WORST if settings.mix.rule == WORST else MEAN
    strata = by_workload(measured)
    draws = {name: draw(gains, settings.study, place) for place, (name, gains) in enumerate(strata.items())}
    return _interval(strata, draws, settings, rule)


def between(winner: Gains, difference: Gains, settings: Settings, ahead: Mapping[str, float] | None = None) -> Interval:
    """By how much the runner-up's value lies above the winner's; `difference` has its gains over the winner.

    `ahead` says, for the rule of regret, how far the best that was found for each workload lies above the winner there;
    that is the search's own knowledge and taken as it is.
    """
    if settings.mix is None:
        return interval_of(difference, settings.study)
    own, apart = by_workload(winner), by_workload(difference)
    names = [name for name in settings.mix.names if name in own and name in apart]
    study, many = settings.study, len(names)
    base = {name: draw(own[name], study, place) for place, name in enumerate(names)}
    moved = {name: draw(apart[name], study, many + place) for place, name in enumerate(names)}
    middle = _advantage({n: middle_of(own[n]) for n in names}, {n: middle_of(apart[n]) for n in names}, settings, ahead)
    units = sum(len(apart[name]) for name in names)
    if any(drawn is None for drawn in (*base.values(), *moved.values())):
        return Interval(float(middle), None, None, units, "a workload with one unit has no interval")
    return _bounded(float(middle), _advantage(base, moved, settings, ahead), [apart[name] for name in names], study)


def _advantage(own: Levels, apart: Levels, settings: Settings, ahead: Mapping[str, float] | None) -> Any:
    """The runner-up's value less the winner's."""
    assert settings.mix is not None
    mix = settings.mix
    if mix.rule == REGRET:
        lost = {name: (ahead or {}).get(name, 0.0) for name in own}
        return max(lost.values()) - _largest({name: lost[name] - apart[name] for name in own})
    other = {name: own[name] + apart[name] for name in own}
    return value(other, mix, mix.rule) - value(own, mix, mix.rule)


def value(levels: Levels, mix: Mix, rule: str) -> Any:
    """Of a number for each workload, or of arrays of draws."""
    if rule == WORST:
        return -_largest({name: -level for name, level in levels.items()})
    total = sum(mix.weights[name] for name in levels)
    return sum(mix.weights[name] / total * level for name, level in levels.items())


def _largest(levels: Levels) -> Any:
    return np.max(np.stack([np.asarray(level) for level in levels.values()]), axis=0)


def draw(measured: Gains, study: StudySettings, place: int) -> Values | None:
    """`resamples` draws of a workload's level, of an own stream for each place; None of one unit.

    Bootstrap of units and their repeats, spread by what a small number of units takes (Hesterberg 2015, section 4.3.1:
    Student's over the normal quantile, times sqrt(n / (n - 1))). Of few units: Student's distribution about the mean.
    """
    from scipy.stats import norm, t

    groups, rng = list(measured.values()), np.random.default_rng([study.seed, place])
    means = np.array([float(np.mean(group)) for group in groups])
    count, middle = len(means), float(means.mean())
    if count < 2:
        return None
    if count < FEW_UNITS:
        return middle + rng.standard_t(count - 1, study.resamples) * float(means.std(ddof=1)) / math.sqrt(count)
    level = (1 + study.confidence) / 2
    wider = float(t.ppf(level, count - 1) / norm.ppf(level)) * math.sqrt(count / (count - 1))
    return middle + wider * (resampled_means(groups, study.resamples, rng) - middle)


def middle_of(measured: Gains) -> float:
    return float(np.mean([np.mean(values) for values in measured.values()]))


def _interval(
    strata: Mapping[str, Gains], draws: Mapping[str, Values | None], settings: Settings, rule: str
) -> Interval:
    assert settings.mix is not None
    middle = float(value({name: middle_of(gains) for name, gains in strata.items()}, settings.mix, rule))
    if any(drawn is None for drawn in draws.values()):
        units = sum(map(len, strata.values()))
        return Interval(middle, None, None, units, "a workload with one unit has no interval")
    return _bounded(middle, value(draws, settings.mix, rule), list(strata.values()), settings.study)


def _bounded(middle: float, draws: Values, strata: Sequence[Gains], study: StudySettings) -> Interval:
    low, high = np.quantile(draws, [(1 - study.confidence) / 2, (1 + study.confidence) / 2])
    counts = [len(gains) for gains in strata]
    few = any(count < FEW_UNITS for count in counts)
    how = "Student's t within workloads" if few else "bootstrap within workloads"
    said = f"{how}, over {' + '.join(map(str, counts))} units and their repeats"
    return Interval(middle, float(low), float(high), sum(counts), said)
