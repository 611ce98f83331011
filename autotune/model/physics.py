"""The two halves together: the gain of a configuration, told from one measured trial of the same method.

A unit's answer needs `base_passes` steps of cost 1 without speculation, and `passes` of a mean cost with it. The gain
is log(time without / time with), where the baseline's share that is no decoding stays as it is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean

from autotune.model import acceptance, trees
from autotune.model.cost import StepModel
from autotune.model.evidence import Evidence

GUESSED = 0.5
"""Of a tree's tokens that rest on chances nobody measured, this share is the standard deviation."""


@dataclass(frozen=True)
class Shape:
    """What is drafted at once: a chain of `tokens`, the `nodes` of a tree, or a tree of as many levels as `tokens` that
    the method grows anew in every step to `budget` nodes.
    """

    tokens: int
    nodes: trees.Nodes | None = None
    budget: int | None = None

    @property
    def depth(self) -> int:
        return max(map(len, self.nodes), default=0) if self.nodes is not None else self.tokens

    @property
    def size(self) -> int:
        if self.nodes is not None:
            return len(self.nodes)
        return self.tokens if self.budget is None else self.budget

    @property
    def as_nodes(self) -> trees.Nodes:
        return self.nodes if self.nodes is not None else trees.chain(self.tokens)


@dataclass(frozen=True)
class Told:
    """Gains by unit, and the standard deviation of what they all share."""

    gains: Mapping[str, float]
    sd: float

    @property
    def mean(self) -> float:
        return fmean(self.gains.values())


class Teller:
    """Tells from the evidence of one trial of shape `own` what other shapes would gain; nothing of other knobs.

    `decoding_only` leaves out what is no decoding: the objective is time per token.
    """

    def __init__(
        self, units: Mapping[str, Evidence], own: Shape, steps: StepModel, *, decoding_only: bool = True
    ) -> None:
        self._units = {name: unit for name, unit in units.items() if unit.costs}
        self._own, self._steps, self._decoding_only = own, steps, decoding_only
        self._table = trees.table(list(self._units.values()), own.nodes)
        total = _total(list(self._units.values()))
        self._extension = acceptance.extension(*total)
        self._known: dict[Shape, Told | None] = {}
        self._chain_costs: list[float] = []

    def tell(self, shape: Shape) -> Told | None:
        """None where this trial says nothing of such a shape."""
        if shape not in self._known:
            self._known[shape] = self._tell(shape)
        return self._known[shape]

    def _tell(self, shape: Shape) -> Told | None:
        if not self._units or shape.size < 1:
            return None
        if shape.nodes is None and self._own.nodes is None:
            return self._chain(shape)
        return self._tree(shape)

    def _chain(self, shape: Shape) -> Told:
        middle = self._all_gains(shape, 0.0)
        gains = {name: (anew + onward) / 2 for name, (anew, onward) in middle.items()}
        course = fmean(abs(anew - onward) / 2 for anew, onward in middle.values())
        reach = self._reach_doubt(shape)
        changed = 0.0 if shape == self._own else 0.01
        return Told(gains, math.hypot(course, reach, changed, self._cost_doubt(shape)))

    def _all_gains(self, shape: Shape, shift: float) -> dict[str, tuple[float, float]]:
        return {name: self._chain_gains(unit, shape, shift) for name, unit in self._units.items()}

    def _reach_doubt(self, shape: Shape) -> float:
        """Of positions that nobody measured: half of what a standard deviation of their chance, both ways, makes."""
        if all(shape.tokens <= len(unit.drafted) for unit in self._units.values()):
            return 0.0
        low, high = (_middle(self._all_gains(shape, shift)) for shift in (-1.0, 1.0))
        return abs(high - low) / 2

    def _chain_gains(self, unit: Evidence, shape: Shape, shift: float) -> tuple[float, float]:
        """With as many passes as if every position were alike, and as if drafts ran on. A tree that grows accepts at
        most one token a level, so its levels are counted as a chain's positions are.
        """
        tokens = shape.tokens
        drafted, accepted = self._extension.reach(unit.drafted, unit.accepted, tokens, shift)
        if tokens <= len(unit.drafted):
            anew, onward = acceptance.passes(unit.passes, unit.accepted, tokens)
        else:
            anew = onward = (unit.passes + sum(unit.accepted)) / (1 + sum(accepted) / unit.passes)
        cost = self._mean_cost(unit, drafted) if shape.budget is None else self._grown_cost(unit, shape)
        return self._gain(unit, anew * cost), self._gain(unit, onward * cost)

    def _mean_cost(self, unit: Evidence, drafted: list[float]) -> float:
        """Over passes with and without drafts, of every length."""
        if any(point.batch > 1 for point in unit.costs):
            return self._batched(unit, 1 + sum(drafted) / unit.passes, sum(drafted) / unit.passes)
        ends = [*drafted[1:], 0.0]
        total = (unit.passes - (drafted[0] if drafted else 0.0)) * self._chain_cost(0)
        for length, (reached, more) in enumerate(zip(drafted, ends, strict=True), start=1):
            total += max(0.0, reached - more) * self._chain_cost(length)
        return total / unit.passes

    def _chain_cost(self, length: int) -> float:
        """Of a step alone with so many drafted tokens in a row."""
        while length >= len(self._chain_costs):
            tokens = len(self._chain_costs)
            self._chain_costs.append(self._steps.cost(1, 1 + tokens, tokens))
        return self._chain_costs[length]

    def _grown_cost(self, unit: Evidence, shape: Shape) -> float:
        drafts = unit.drafts / unit.passes
        if any(point.batch > 1 for point in unit.costs):
            return self._batched(unit, 1 + drafts * shape.size, drafts * shape.depth)
        return drafts * self._steps.cost(1, 1 + shape.size, shape.depth) + (1 - drafts) * self._steps.cost(1, 1, 0)

    def _batched(self, unit: Evidence, rows: float, levels: float) -> float:
        steps = sum(point.steps for point in unit.costs)
        return sum(point.steps * self._steps.cost(point.batch, rows, levels) for point in unit.costs) / steps

    def _tree(self, shape: Shape) -> Told | None:
        """In proportion to this trial's own counts: accepted tokens as its table expects them, rows as its nodes."""
        if self._table is None:
            return None
        (mine, _), (other, guessed) = (self._table.expected(each.as_nodes) for each in (self._own, shape))
        if mine <= 0:
            return None
        gains = {name: self._tree_gain(unit, shape, other / mine) for name, unit in self._units.items()}
        per_pass = fmean(sum(unit.accepted) / unit.passes for unit in self._units.values())
        doubt = GUESSED * guessed / mine * per_pass / (1 + per_pass)
        changed = 0.0 if shape == self._own else 0.02
        return Told(gains, math.hypot(doubt, changed, self._cost_doubt(shape)))

    def _tree_gain(self, unit: Evidence, shape: Shape, factor: float) -> float:
        total, drafts = unit.passes + sum(unit.accepted), unit.drafts / unit.passes
        passes = total / (1 + factor * sum(unit.accepted) / unit.passes)
        filled = unit.nodes / (unit.drafts * self._own.size) if unit.drafts else 0.0
        rows, levels = 1 + filled * shape.size, min(1.0, sum(unit.drafted) / max(1, unit.drafts * self._own.depth))
        batch = unit.costs[0].batch
        if any(point.batch > 1 for point in unit.costs):
            cost = self._batched(unit, 1 + drafts * (rows - 1), drafts * levels * shape.depth)
        else:
            drafting = self._steps.cost(batch, rows, levels * shape.depth)
            cost = drafts * drafting + (1 - drafts) * self._steps.cost(batch, 1, 0)
        return self._gain(unit, passes * cost)

    def _gain(self, unit: Evidence, time: float) -> float:
        """`time` in steps of the baseline."""
        share = time / unit.base_passes
        fixed = 0.0 if self._decoding_only else unit.fixed
        return -math.log(fixed + (1 - fixed) * share)

    def _cost_doubt(self, shape: Shape) -> float:
        """Relative, of a step with the whole shape: what the curve leaves open, and the luck of its units."""
        unit = next(iter(self._units.values()))
        batch, rows, own = unit.costs[0].batch, 1.0 + shape.size, 1.0 + self._own.size
        luck = abs(self._steps.error(batch, rows) - self._steps.error(batch, own))
        cost = self._steps.cost(batch, rows, shape.depth)
        return math.hypot(self._steps.doubt(batch, rows), luck) / cost


def _total(units: list[Evidence]) -> tuple[list[int], list[int]]:
    size = max((len(unit.drafted) for unit in units), default=0)
    return tuple(
        [sum(counts[i] for unit in units if i < len(counts := getattr(unit, name))) for i in range(size)]
        for name in ("drafted", "accepted")
    )  # type: ignore[return-value]


def _middle(gains: Mapping[str, tuple[float, float]]) -> float:
    return fmean((anew + onward) / 2 for anew, onward in gains.values())
