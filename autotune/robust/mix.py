"""Several workloads in one study: how much each counts, and how their gains become one number.

The units of a workload have its name before theirs, "code/prompt-3", so a record of gains by unit tells them apart. A
level is a workload's mean log-gain over its units.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

MARK = "/"
MEAN, WORST, REGRET = "mean", "worst", "regret"
RULES = (MEAN, WORST, REGRET)
Gains = dict[str, list[float]]


@dataclass(frozen=True)
class Mix:
    """`weights` by workload, in order, sum to 1.

    mean: the weighted mean of the log-gains. worst: the gain on the workload that gains least. regret: the most that a
    configuration loses on any workload against the best that was found for it. What is best is known only in the end,
    so the search itself goes by the mean, whose largest value is the least mean regret: sum_w weight (best_w - own_w)
    is a constant less the mean.
    """

    weights: Mapping[str, float]
    rule: str = MEAN

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.weights)

    def weighs_alike(self, counts: Mapping[str, int | None]) -> bool:
        """Whether the mean over all units is the value that the search goes by; `counts` are units by workload."""
        shares = [self.weights[name] / count if (count := counts[name]) else 0.0 for name in self.names]
        return self.rule == MEAN and min(shares) > 0 and max(shares) < min(shares) * 1.001


def unit_name(workload: str, unit: str) -> str:
    """`workload` is empty where there is one."""
    return f"{workload}{MARK}{unit}" if workload else unit


def by_workload(measured: Mapping[str, list[float]]) -> dict[str, Gains]:
    """Gains by workload and unit; nothing where the units are of one workload only."""
    found: dict[str, Gains] = {}
    for unit, values in measured.items():
        workload, mark, _ = unit.partition(MARK)
        if mark:
            found.setdefault(workload, {})[unit] = values
    return found


def levels(measured: Mapping[str, list[float]]) -> dict[str, float]:
    """The mean over units of the mean over their repeats, by workload."""
    return {
        workload: sum(sum(values) / len(values) for values in gains.values()) / len(gains)
        for workload, gains in by_workload(measured).items()
    }


def unit_weights(units: Iterable[str], mix: Mix) -> dict[str, float]:
    """What every unit counts in the weighted mean; the sum is 1."""
    names = list(units)
    counts: dict[str, int] = {}
    for unit in names:
        workload = unit.partition(MARK)[0]
        counts[workload] = counts.get(workload, 0) + 1
    total = sum(mix.weights[workload] for workload in counts)
    return {
        unit: mix.weights[workload] / counts[workload] / total
        for unit in names
        for workload in [unit.partition(MARK)[0]]
    }
