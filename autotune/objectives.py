"""What a study improves: one metric, or several, and the rule that picks one configuration of those that none beats.

A factor says how many times better than no speculation a configuration is, whatever the metric; gains are their logs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from autotune.analysis import Gains, gains, means, pooled
from autotune.constraints import Constraint, Found
from autotune.errors import UsageError, nearest
from autotune.metrics import OBJECTIVES, ObjectiveMetric
from autotune.robust.interval import value_of
from autotune.samples import BASELINE, UnitResult
from autotune.settings import Settings
from autotune.stats import Interval
from autotune.trial import Factor, Trial

FIRST, BALANCED = "first", "balanced"
MEMORY = "peak_memory"


@dataclass(frozen=True)
class Rule:
    """`first`: the best on the first metric of those that lose at most `may_lose` against no speculation on each of the
    others. `balanced`: the largest mean of the log factors, weighted; `weights` add up to 1.
    """

    name: str
    metrics: tuple[str, ...]
    may_lose: float
    weights: tuple[float, ...]

    def score(self, logs: Sequence[float]) -> tuple[float, ...]:
        """Larger is better; whatever keeps `may_lose` is better than whatever does not."""
        if self.name == BALANCED:
            return (sum(weight * log for weight, log in zip(self.weights, logs, strict=True)),)
        floor = math.log1p(-self.may_lose)
        return (-sum(max(0.0, floor - log) for log in logs[1:]), logs[0])

    def together(self, each: Sequence[Gains]) -> Gains:
        """By unit the gain that the rule goes by: the first metric's, or the weighted mean where all have a value."""
        if self.name == FIRST:
            return each[0]
        by_unit = [means(one) for one in each]
        shared = [unit for unit in by_unit[0] if all(unit in one for one in by_unit)]
        return {unit: [sum(w * one[unit] for w, one in zip(self.weights, by_unit, strict=True))] for unit in shared}

    def limits(self, factors: Sequence[float]) -> list[Found]:
        """What `first` asks of the other metrics, as limits that are kept or not."""
        if self.name == BALANCED:
            return []
        pairs = zip(self.metrics[1:], factors[1:], strict=True)
        return [Found(Constraint(f"{name} factor", "min", 1 - self.may_lose), factor) for name, factor in pairs]

    @property
    def words(self) -> str:
        if self.name == BALANCED:
            parts = [f"{weight:.0%} {name}" for name, weight in zip(self.metrics, self.weights, strict=True)]
            return f"{BALANCED}: the largest mean of the log factors, {' and '.join(parts)}"
        lost = f"lose at most {self.may_lose:.0%} on {' and '.join(self.metrics[1:])} against no speculation"
        return f"{FIRST}: the best {self.metrics[0]} of those that {lost}"


@dataclass(frozen=True)
class Objectives:
    """The first metric is the one that `speedup` is the factor of. One metric alone needs no rule, but has one."""

    metrics: tuple[ObjectiveMetric, ...]
    rule: Rule

    @property
    def names(self) -> list[str]:
        return [metric.name for metric in self.metrics]

    @property
    def several(self) -> bool:
        return len(self.metrics) > 1

    def gains(self, results: Iterable[UnitResult], arm: str, against: str = BASELINE) -> list[Gains]:
        """Those of every metric."""
        results = list(results)
        return [gains(results, arm, metric, against) for metric in self.metrics]

    def rule_interval(self, each: Sequence[Gains], settings: Settings) -> Interval:
        return value_of(self.rule.together(each), settings)

    def gains_of(self, trial: Trial) -> list[Gains]:
        return [trial.gains, *(trial.further[name].gains for name in self.names[1:] if name in trial.further)]

    def factors_of(self, trial: Trial) -> list[float]:
        """None of them missing, or none at all."""
        found = [trial.speedup, *(trial.further[name].factor for name in self.names[1:] if name in trial.further)]
        known = [factor for factor in found if factor is not None]
        return known if len(known) == len(self.metrics) else []

    def scored(self, trial: Trial) -> Trial:
        """With what the rule says of it, for the ranking; as it is where there is one metric."""
        factors = self.factors_of(trial)
        if not self.several or not factors:
            return replace(trial, score=())
        return replace(trial, score=self.rule.score([math.log(factor) for factor in factors]))


def objectives_of(settings: Settings) -> Objectives:
    objective = settings.objective
    names = tuple(objective.metrics or [objective.metric])
    weights = [float(weight) for weight in objective.weights or [1] * len(names)]
    rule = Rule(objective.rule or FIRST, names, objective.may_lose or 0.0, tuple(w / sum(weights) for w in weights))
    return Objectives(tuple(OBJECTIVES[name] for name in names), rule)


def factor(own: Gains, earlier: Sequence[Gains], settings: Settings) -> Factor | None:
    """Of a measurement, pooled with `earlier` ones of the same configuration; None where nothing has a value."""
    together = pooled([*earlier, own])
    if not together:
        return None
    found = value_of(together, settings)
    return Factor(found.factor, found.factor_bounds, found.method, together, own)


def record(names: Sequence[str], first: tuple[float | None, object], further: Mapping[str, Factor]) -> list[dict]:
    """For the details of a result: every metric with its factor and interval; `first` are those of the first."""
    rest = [(name, further[name].factor, further[name].interval) for name in names[1:] if name in further]
    return [{"name": name, "factor": value, "interval": bounds} for name, value, bounds in [(names[0], *first), *rest]]


def check(settings: Settings) -> None:
    """UsageError for metrics, a rule or weights that are none."""
    objective = settings.objective
    names = [objective.metric] if objective.metrics is None else objective.metrics
    for name in names:
        if name not in OBJECTIVES:
            key = "objective.metric" if objective.metrics is None else "objective.metrics"
            raise UsageError(f"unknown {key} {name!r}; {nearest(str(name), list(OBJECTIVES))}")
    if MEMORY in names and settings.search.get("engine"):
        raise UsageError(
            f"the objective {MEMORY} does not go with search.engine, which loads a second engine beside the first; "
            "search keys of the method only"
        )
    if objective.metrics is None:
        return
    if len(names) < 2 or len(set(names)) < len(names):
        raise UsageError(
            f"objective.metrics is {names}; it must be a list of two or more different metrics, "
            "such as [tpot,output_tokens_per_s]; one alone is objective.metric"
        )
    if settings.study.kind == "schedule":
        raise UsageError(f"objective.metrics is {names}, but study=schedule goes by one; choose objective.metric")
    if settings.mix is not None:
        raise UsageError(
            f"objective.metrics is {names}, but the workloads {settings.workload.name} have a rule of their own; "
            "choose objective.metric, or one workload"
        )
    _check_weights(objective.weights, objective.rule or FIRST, len(names))


def _check_weights(weights: Sequence[object] | None, rule: str, count: int) -> None:
    if weights is None:
        return
    if rule != BALANCED:
        raise UsageError(f"objective.weights is {weights}, but objective.rule={rule} has none; allowed: null")
    numbers = [w for w in weights if isinstance(w, int | float) and not isinstance(w, bool) and 0 < w < math.inf]
    if len(numbers) != len(weights) or len(weights) != count:
        raise UsageError(
            f"objective.weights is {weights}; it must be a list of {count} numbers above 0, in the metrics' order"
        )
