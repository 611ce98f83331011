"""What a step costs, in steps of the baseline, by batch, rows and drafted levels: fitted from all trials of a method.

    cost(batch, rows, levels) = rest_batch(rows) + start [levels > 0] + draft * levels

`rest` (the target's pass, verification, scheduling) never falls with the rows; it is a line between the rows that were
measured. Drafting is linear in the levels. Medians over units and trials keep one disturbed unit from mattering.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import stdev

from autotune.model.curve import Points, at, isotonic, unknown, weighted_median
from autotune.model.evidence import Evidence

RESAMPLES = 30
APART = 1.3  # levels must differ by this factor before a constant part of drafting can be told from a linear one


@dataclass(frozen=True)
class StepModel:
    """`spread` is the standard error of `rest` at its points, from a bootstrap over units; `steps` counts behind it."""

    rest: Mapping[int, Points]
    start: float
    draft: float
    spread: Mapping[int, Points] = field(default_factory=dict)
    steps: int = 0

    def cost(self, batch: int, rows: float, levels: float) -> float:
        return at(self.rest[self._known(batch)], rows) + self.drafting(levels)

    def doubt(self, batch: int, rows: float) -> float:
        """Standard deviation of the cost for what lies between the measured rows or beyond them."""
        return unknown(self.rest[self._known(batch)], rows)

    def error(self, batch: int, rows: float) -> float:
        """Standard error of the cost at `rows` from the luck of the units."""
        batch = self._known(batch)
        return at(self.spread[batch], rows) if self.spread.get(batch) else 0.0

    def drafting(self, levels: float) -> float:
        return self.start * min(1.0, levels) + self.draft * levels

    def _known(self, batch: int) -> int:
        """The measured batch size that is nearest."""
        return min(self.rest, key=lambda other: abs(other - batch))


Trials = Sequence[Mapping[str, Evidence]]


def fit(trials: Trials, seed: int = 0) -> StepModel | None:
    """None where no step was timed."""
    model = _fit(trials)
    if model is None:
        return None
    names = sorted({unit for trial in trials for unit in trial})
    rng = random.Random(seed)
    again = [_fit(_drawn(trials, rng.choices(names, k=len(names)))) for _ in range(RESAMPLES)]
    fits = [each for each in again if each is not None]
    return StepModel(model.rest, model.start, model.draft, _spread(model, fits), model.steps)


def _drawn(trials: Trials, names: Sequence[str]) -> list[dict[str, Evidence]]:
    """The same draw of units in every trial; a unit drawn twice counts twice."""
    return [{f"{place}": trial[name] for place, name in enumerate(names) if name in trial} for trial in trials]


def _spread(model: StepModel, fits: Sequence[StepModel]) -> dict[int, Points]:
    found = {}
    for batch, points in model.rest.items():
        having = [each.rest[batch] for each in fits if batch in each.rest]
        if len(having) > 1:
            found[batch] = tuple((rows, stdev(at(each, rows) for each in having)) for rows, _ in points)
    return found


def _fit(trials: Trials) -> StepModel | None:
    units = [unit for trial in trials for unit in trial.values() if unit.costs]
    if not units:
        return None
    start, draft = _drafting(units)
    shell = StepModel({}, start, draft)
    by_batch: dict[int, dict[float, list[tuple[float, float]]]] = {}
    for unit in units:
        for point in unit.costs:
            rest = point.cost - shell.drafting(_levels(unit, point.rows))
            by_batch.setdefault(point.batch, {}).setdefault(_place(point.rows), []).append((rest, point.steps))
    steps = sum(point.steps for unit in units for point in unit.costs)
    return StepModel({batch: _curve(found) for batch, found in by_batch.items()}, start, draft, {}, steps)


def _place(rows: float) -> float:
    """Mean rows of many requests are put together to a fifth."""
    return round(rows * 5) / 5


def _levels(unit: Evidence, rows: float) -> float:
    """Levels behind a step of so many rows: as many in a chain, fewer in a tree."""
    return (rows - 1) * sum(unit.drafted) / unit.nodes if unit.nodes else 0.0


def _curve(found: Mapping[float, Sequence[tuple[float, float]]]) -> Points:
    """Through the medians by rows, beginning at the baseline's own step."""
    weights = {rows: sum(weight for _, weight in values) for rows, values in found.items()}
    medians = {rows: weighted_median(*zip(*values, strict=True)) for rows, values in found.items()}
    if min(found) > 1:
        weights[1.0], medians[1.0] = max(weights.values()), 1.0
    rows = sorted(medians)
    fitted = isotonic([medians[each] for each in rows], [weights[each] for each in rows])
    return tuple(zip(rows, fitted, strict=True))


def _drafting(units: Sequence[Evidence]) -> tuple[float, float]:
    """Least squares of drafting against levels of a mean pass, neither part below 0; without a constant part where the
    levels hardly differ.
    """
    pairs = [(unit.mean_levels, unit.draft_cost) for unit in units if unit.mean_levels > 0]
    if not pairs:
        return 0.0, 0.0
    through = sum(x * y for x, y in pairs) / sum(x * x for x, _ in pairs)
    if max(x for x, _ in pairs) < APART * min(x for x, _ in pairs):
        return 0.0, max(0.0, through)
    middle, height = (sum(values) / len(pairs) for values in zip(*pairs, strict=True))
    slope = sum((x - middle) * (y - height) for x, y in pairs) / sum((x - middle) ** 2 for x, _ in pairs)
    start = height - slope * middle
    if start < 0:
        return 0.0, max(0.0, through)
    return (start, slope) if slope >= 0 else (max(0.0, height), 0.0)
