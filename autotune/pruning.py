"""When a trial may stop early: a few looks at a paired test against the best so far, together wrong at most `alpha`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from autotune.analysis import Gains, means
from autotune.objectives import Objectives
from autotune.robust.mix import Mix
from autotune.robust.race import loses
from autotune.stats import looks, worse
from autotune.trial import Trial, ranking


@dataclass(frozen=True)
class Incumbent:
    """The best complete trial, and among how many it was the best (luck lifts the best of many)."""

    number: int
    gains: dict[str, float]
    rivals: int


def incumbents(trials: list[Trial], objectives: Objectives) -> list[list[Incumbent]]:
    """Whom to compare with, metric by metric: the best trial, or of several metrics all that no other is above."""
    ranked = [trial for trial in ranking(trials) if objectives.factors_of(trial)]
    best = [trial for trial in ranked if not any(_above(other, trial, objectives) for other in ranked)]
    return [
        [Incumbent(trial.number, means(gains), len(ranked)) for gains in objectives.gains_of(trial)]
        for trial in (best if objectives.several else ranked[:1])
    ]


def _above(left: Trial, right: Trial, objectives: Objectives) -> bool:
    ours, theirs = objectives.factors_of(left), objectives.factors_of(right)
    return ours != theirs and all(our >= their for our, their in zip(ours, theirs, strict=True))


class Pruner:
    """Asked after every unit of the first pass; answers at its looks only. `alpha` 0 never prunes."""

    def __init__(
        self, incumbent: Incumbent | None, planned: int, *, alpha: float, first: int, mix: Mix | None = None
    ) -> None:
        self._incumbent, self._mix = incumbent, mix
        self._planned = planned
        self._looks = looks(planned, first) if incumbent is not None and alpha > 0 else ()
        self._alpha = alpha / max(1, len(self._looks))

    def should_stop(self, measured: Gains) -> bool:
        """Compare on the units that both have; each look spends an equal share of `alpha`."""
        if len(measured) not in self._looks or self._incumbent is None:
            return False
        ours, best = means(measured), self._incumbent
        if self._mix is not None:
            alpha, rivals, planned = self._alpha, best.rivals, self._planned
            return loses(ours, best.gains, self._mix, alpha=alpha, rivals=rivals, planned=planned)
        shared = [unit for unit in ours if unit in self._incumbent.gains]
        if len(shared) < 2:
            return False
        return worse(
            np.array([ours[unit] for unit in shared]),
            np.array([self._incumbent.gains[unit] for unit in shared]),
            alpha=self._alpha,
            rivals=self._incumbent.rivals,
            planned=self._planned,
        )


class Pruners:
    """Stops a trial where one of the `best` is shown to be better on every metric. Each of them has an equal share of
    `alpha`; that all metrics must agree makes an error rarer still.
    """

    def __init__(
        self,
        best: Sequence[Sequence[Incumbent]],
        planned: int,
        *,
        alpha: float,
        first: int,
        mix: Mix | None = None,
    ) -> None:
        share = alpha / max(1, len(best))
        self._each = [[Pruner(one, planned, alpha=share, first=first, mix=mix) for one in each] for each in best]

    def should_stop(self, measured: Sequence[Gains]) -> bool:
        """`measured` by metric."""
        pairs = (zip(pruners, measured, strict=True) for pruners in self._each)
        return any(all(pruner.should_stop(gains) for pruner, gains in pair) for pair in pairs)
