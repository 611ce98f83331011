"""Which configuration suits all workloads, and what one that was chosen for a single workload would have lost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autotune.analysis import interval_of, paired
from autotune.robust.mix import REGRET, Mix, by_workload, levels
from autotune.settings import StudySettings
from autotune.stats import Interval
from autotune.trial import Trial


def bests(trials: Sequence[Trial], mix: Mix) -> dict[str, Trial]:
    """By workload the trial that gains most there."""
    known = [trial for trial in trials if set(levels(trial.gains)) == set(mix.names)]
    return {name: max(known, key=lambda trial: levels(trial.gains)[name]) for name in mix.names} if known else {}


def ahead(trial: Trial, trials: Sequence[Trial], mix: Mix | None) -> dict[str, float]:
    """By workload, how far the best of `trials` lies above `trial`, as log-gains; nothing where there is one."""
    if mix is None:
        return {}
    own = levels(trial.gains)
    return {name: levels(best.gains)[name] - own[name] for name, best in bests(trials, mix).items() if name in own}


def regret(trial: Trial, trials: Sequence[Trial], mix: Mix) -> float:
    """The most that it loses on any workload against the best of `trials` there, as a log-ratio."""
    return max(ahead(trial, trials, mix).values(), default=0.0)


def ordered(trials: Sequence[Trial], mix: Mix | None) -> list[Trial]:
    """Best first, where they come in the order of the search's own value."""
    if mix is None or mix.rule != REGRET:
        return list(trials)
    return sorted(trials, key=lambda trial: regret(trial, trials, mix))


@dataclass(frozen=True)
class Single:
    """The best for `workload` alone, `trial`, and by other workloads its log-ratio to the best there."""

    workload: str
    trial: Trial
    against: Mapping[str, Interval]

    @property
    def losses(self) -> dict[str, float]:
        """Where it surely loses, the share of the speed."""
        return {name: 1 - found.factor for name, found in self.against.items() if found.high is not None and
                found.high < 0}  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        against = {name: {"factor": found.factor, "interval": found.factor_bounds} for name, found in
                   self.against.items()}  # fmt: skip
        return {"workload": self.workload, "trial": self.trial.number, "against_the_best_there": against}


def singles(trials: Sequence[Trial], mix: Mix, study: StudySettings) -> list[Single]:
    """What choosing for each workload alone would have led to, on the search's prompts."""
    best = bests(trials, mix)
    return [
        Single(
            name, own, {other: against(own, theirs, other, study) for other, theirs in best.items() if other != name}
        )
        for name, own in best.items()
    ]


def against(own: Trial, best: Trial, workload: str, study: StudySettings) -> Interval:
    """The paired log-ratio on one workload's units."""
    apart = paired(*(by_workload(trial.gains)[workload] for trial in (own, best)))
    return interval_of(apart, study) if apart else Interval(math.nan, None, None, 0, "no unit is shared")
