"""Did the machine change while a trial was measured? The baseline is the same work in every trial and tells.

Two robust tests on the baseline's log time per token. Within the trial: the medians of its parts, in the order of
measuring, must not lie further apart than the bound. Against the study: the trial's median distance from what the same
prompts took in the last trials must not exceed it. Each must also exceed what the scatter of the values explains, and a
level that is met twice in a row is no disturbance but the machine's new state.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from autotune.metrics import tpot
from autotune.samples import BASELINE, UnitResult
from autotune.status import Cause
from autotune.trust.doubt import Doubt

Times = Mapping[str, Sequence[float]]
PARTS, FEWEST = 3, 9
MEMORY = 5  # trials that the level is compared with
ERRORS = 3.5  # standard errors beyond which scatter is no explanation
MEDIAN_ERROR = 1.2533  # of a median, in those of a mean: sqrt(pi / 2)
MAD_TO_DEVIATION = 1.4826


@dataclass(frozen=True)
class Visit:
    """The baseline on one unit: seconds per token."""

    unit: str
    seconds: float


def visits(results: Sequence[UnitResult]) -> list[Visit]:
    """In the order of measuring; nothing of a replay, which has no time."""
    found = ((result.unit, tpot([result.runs[BASELINE]])) for result in results)
    return [Visit(unit, seconds) for unit, seconds in found if seconds]


def times(results: Sequence[UnitResult]) -> dict[str, list[float]]:
    """What is kept of a trial to compare later ones with."""
    found: dict[str, list[float]] = {}
    for visit in visits(results):
        found.setdefault(visit.unit, []).append(visit.seconds)
    return found


def drift(
    measured: Sequence[Visit], earlier: Sequence[Times], bound: float | None, again: Times | None = None
) -> Doubt | None:
    """`earlier` are the baseline's times of the measurements before, in order, `again` those of an attempt at this one
    that was doubted: nothing to compare with, but a witness of a new level. `bound` 0.3 is 30 %.
    """
    if bound is None or not measured:
        return None
    limit, last = math.log1p(bound), again if again is not None else next(iter(earlier[-1:]), {})
    return within(measured, earlier[-MEMORY:], limit) or against(measured, earlier[-MEMORY:], last, limit)


def within(measured: Sequence[Visit], earlier: Sequence[Times], limit: float) -> Doubt | None:
    """Between the parts of one trial; what the prompts usually take is divided out where it is known."""
    usual = reference(earlier)
    known = all(visit.unit in usual for visit in measured)
    values = [math.log(visit.seconds / (usual[visit.unit] if known else 1.0)) for visit in measured]
    if len(values) < FEWEST:
        return None
    size = len(values) // PARTS
    parts = [values[i * size : (i + 1) * size] for i in range(PARTS - 1)] + [values[(PARTS - 1) * size :]]
    middles = [median(part) for part in parts]
    moved = max(middles) - min(middles)
    scatter = deviation([after - before for before, after in pairwise(values)]) / math.sqrt(2)  # no step moves it much
    if moved <= max(limit, ERRORS * MEDIAN_ERROR * scatter * math.sqrt(2 / size)):
        return None
    return Doubt(Cause.DRIFTED, f"the baseline's time per token moved by {math.expm1(moved):.0%} within the trial")


def unsteady(measured: Sequence[Visit], earlier: Sequence[Times], bound: float | None) -> Doubt | None:
    """Few visits, all to the same unit: none may lie further from another than the bound, nor, where visits to other
    units tell how much they scatter, than that explains.
    """
    values = [math.log(visit.seconds) for visit in measured]
    if bound is None or len(values) < 2:
        return None
    usual = [math.log(seconds / median(times)) for trial in earlier for times in trial.values() for seconds in times]
    scatter = deviation(usual) if len(usual) >= FEWEST else 0.0
    moved = max(values) - min(values)
    if moved <= max(math.log1p(bound), ERRORS * math.sqrt(2) * scatter):
        return None
    return Doubt(Cause.DRIFTED, f"the baseline's time per token moved by {math.expm1(moved):.0%} between windows")


def against(measured: Sequence[Visit], earlier: Sequence[Times], last: Times, limit: float) -> Doubt | None:
    """From the last trials; a level that the `last` attempt had too is the machine's new one."""
    level, scatter, shared = level_of(measured, reference(earlier))
    if not shared or abs(level) <= max(limit, ERRORS * MEDIAN_ERROR * scatter / math.sqrt(shared)):
        return None
    newest, _, also = level_of(measured, reference([last]))
    if also and abs(newest) <= limit:
        return None
    return Doubt(Cause.DRIFTED, f"the baseline's time per token is {math.expm1(level):+.0%} against earlier trials")


def level_of(measured: Sequence[Visit], usual: Mapping[str, float]) -> tuple[float, float, int]:
    """The median log-ratio to the usual times, its scatter, and over how many visits."""
    ratios = [math.log(visit.seconds / usual[visit.unit]) for visit in measured if visit.unit in usual]
    if not ratios:
        return 0.0, 0.0, 0
    middle = median(ratios)
    return middle, deviation([ratio - middle for ratio in ratios]), len(ratios)


def reference(earlier: Sequence[Times]) -> dict[str, float]:
    """The median over trials of what every unit took."""
    found: dict[str, list[float]] = {}
    for trial in earlier:
        for unit, seconds in trial.items():
            found.setdefault(unit, []).append(median(seconds))
    return {unit: median(values) for unit, values in found.items()}


def deviation(residuals: Sequence[float]) -> float:
    """A standard deviation that a few wild values do not move."""
    return MAD_TO_DEVIATION * median(abs(value) for value in residuals)
