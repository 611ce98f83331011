"""Was one arm held up more than the other? Time that a run was ready and another process ran in its place is no merit
of the other arm. What falls on both alike, or on either by chance, is noise that the interval knows; a bias it does
not.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb
from statistics import median

from autotune.samples import BASELINE, CANDIDATE, ArmRun, UnitResult
from autotune.status import Cause
from autotune.trust.doubt import Doubt

BOUND = 0.1  # of the run's time
CHANCE = 0.01
FEWEST = 8


def unfair(results: Sequence[UnitResult], arms: Sequence[str] = (CANDIDATE,)) -> Doubt | None:
    """The first of the arms that is."""
    return next(filter(None, (_unfair(results, arm) for arm in arms)), None)


def _unfair(results: Sequence[UnitResult], arm: str) -> Doubt | None:
    """A sign test over visits on the difference of the arms' shares, and a median beyond the bound."""
    shares = ((share(result.runs[arm]), share(result.runs[BASELINE])) for result in results)
    differences = [ours - theirs for ours, theirs in shares if ours is not None and theirs is not None]
    if len(differences) < FEWEST or abs(median(differences)) <= BOUND or sign_chance(differences) > CHANCE:
        return None
    held, more = f"the {arm}" if median(differences) > 0 else "the baseline", abs(median(differences))
    return Doubt(Cause.UNFAIR, f"other processes held up {held} by {more:.0%} of its time more than the other arm")


def share(run: ArmRun) -> float | None:
    """Of the run's time, how much it waited for a core; None where that is not known or there is no time."""
    return run.stolen / run.wall if run.stolen is not None and run.wall else None


def stolen_share(results: Sequence[UnitResult]) -> float | None:
    """Of all that was measured, the mean over runs; None where no run knows."""
    shares = [found for result in results for run in result.runs.values() if (found := share(run)) is not None]
    return sum(shares) / len(shares) if shares else None


def sign_chance(differences: Sequence[float]) -> float:
    """Two-sided: how likely signs at least this uneven are where both are equally likely."""
    signs = [value > 0 for value in differences if value]
    more = max(sum(signs), len(signs) - sum(signs))
    return min(1.0, 2 * sum(comb(len(signs), k) for k in range(more, len(signs) + 1)) / 2 ** len(signs))
