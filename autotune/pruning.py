"""When a trial may stop early: a few looks at a paired test against the best so far, together wrong at most `alpha`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from autotune.analysis import Gains, means
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


def incumbent_of(trials: list[Trial]) -> Incumbent | None:
    ranked = ranking(trials)
    return Incumbent(ranked[0].number, means(ranked[0].gains), len(ranked)) if ranked else None


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
