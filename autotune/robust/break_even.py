"""How far acceptance may fall before no speculation is faster; `profile` has the formula and its source."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from autotune.measurement import TARGET
from autotune.robust.mix import MARK, unit_weights
from autotune.robust.profile import Profile, profiles
from autotune.samples import UnitResult
from autotune.settings import Settings
from autotune.stats import FEW_UNITS, Values

STEPS = 200
MOST = 20.0
"""Times the acceptance that was measured; every position is certain long before."""


@dataclass(frozen=True)
class BreakEven:
    """`needed` is the acceptance at which decoding takes as long as without speculation, where that of every position
    is `scale` times what it was; None where certain drafts would not suffice. `interval` has its bounds. `cost` is that
    of a pass in passes without speculation, `lengths` are tokens per pass now and where it breaks even: all of them
    geometric means over the units, as the speed-up is, so that now / cost is the speed-up. `law` says whose law the
    answers have.
    """

    now: float
    needed: float | None
    scale: float | None
    interval: tuple[float, float] | None
    lengths: tuple[float, float]
    cost: float
    law: str = TARGET

    @property
    def margin(self) -> float | None:
        """The share of the acceptance that may be lost; below 0 where some is missing."""
        return None if self.scale is None else 1 - (self.needed or 0.0) / self.now

    @property
    def words(self) -> str:
        return self._said("")

    @property
    def sentence(self) -> str:
        """For the reader of a result."""
        said = self._said(f" [{self.interval[0]:.2f}, {self.interval[1]:.2f}]" if self.interval else "")
        units = f"in the mean a pass costs as much as {self.cost:.2f} without drafts"
        why = f"{units} and brings {self.lengths[0]:.2f} tokens"
        return f"{said[0].upper()}{said[1:]}: {why}."

    def _said(self, bounds: str) -> str:
        kind = "acceptance" if self.law == TARGET else f"{self.law} acceptance"
        now = f"{self.now:.2f}"
        if self.needed is None:
            return f"{kind} is {now}, and if every drafted token were accepted, no speculation would still be faster"
        if self.needed <= 0:
            return f"no {kind} is too low: it is {now}, and a pass costs no more than one without speculation"
        if self.interval and self.interval[0] <= self.now <= self.interval[1]:
            return f"{kind} is {now}, about where no speculation is as fast{bounds}"
        if self.needed < self.now:
            return f"{kind} may fall from {now} to {self.needed:.2f}{bounds} before no speculation is faster"
        return f"{kind} would have to rise from {now} to {self.needed:.2f}{bounds} for speculation to be faster"

    def to_json(self) -> dict[str, Any]:
        return {
            "acceptance_now": self.now, "acceptance_needed": self.needed, "interval": self.interval,
            "margin": self.margin, "scale": self.scale, "tokens_per_pass_now": self.lengths[0],
            "tokens_per_pass_needed": self.lengths[1], "step_cost": self.cost, "output_law": self.law,
            "words": self.words,
        }  # fmt: skip


def break_even(results: Sequence[UnitResult], arm: str, settings: Settings, law: str) -> BreakEven | None:
    """None where nothing was drafted or accepted, or nothing has a cost: a replay without step costs."""
    found = profiles(results, arm)
    if settings.replays and settings.model.step_costs is None:
        return None
    if not any(each.tokens for each in found.values()) or not any(sum(each.accepted) for each in found.values()):
        return None
    weights = dict.fromkeys(found, 1 / len(found)) if settings.mix is None else unit_weights(found, settings.mix)
    return _solved(list(found.values()), np.array(list(weights.values())), settings, law)


def record(found: BreakEven | None, results: Sequence[UnitResult], arm: str, settings: Settings) -> dict[str, Any]:
    """For the details of a result, with that of every workload where there are several; nothing without drafts."""
    if found is None:
        return {}
    each = {}
    for workload in settings.mix.names if settings.mix else ():
        own = [result for result in results if result.unit.startswith(workload + MARK)]
        if (alone := break_even(own, arm, settings, found.law)) is not None:
            each[workload] = alone.to_json()
    return {"break_even": {**found.to_json(), **({"by_workload": each} if each else {})}}


def _solved(found: Sequence[Profile], weights: Values, settings: Settings, law: str) -> BreakEven:
    scales = np.concatenate([np.linspace(0, 1, STEPS), np.geomspace(1, MOST, STEPS)[1:]])
    gains = np.array([each.gain(scales) for each in found])
    crossing = root(scales, weights @ gains)
    cost = math.exp(sum(w * math.log(each.cost) for w, each in zip(weights, found, strict=True)))
    now = cost * math.exp(float(np.interp(1.0, scales, weights @ gains)))
    return BreakEven(
        now=acceptance(found, 1.0),
        needed=None if crossing is None else acceptance(found, crossing),
        scale=crossing,
        interval=_interval(found, weights, scales, gains, settings),
        lengths=(now, cost),
        cost=cost,
        law=law,
    )


def acceptance(found: Sequence[Profile], scale: float) -> float:
    """Accepted / drafted tokens."""
    return _accepted(found, scale) / sum(each.tokens for each in found)


def _accepted(found: Sequence[Profile], scale: float) -> float:
    return sum(float(each.accepted_at(np.array([scale]))[0]) for each in found)


def root(scales: Values, gains: Values) -> float | None:
    """Where the gain, which rises with the scale, is 0; 0 where it always is above, None where it never is."""
    if gains[0] >= 0:
        return 0.0
    if gains[-1] < 0:
        return None
    return float(np.interp(0.0, gains, scales))


def _interval(
    found: Sequence[Profile], weights: Values, scales: Values, gains: Values, settings: Settings
) -> tuple[float, float] | None:
    """Percentile bootstrap over units; None for few units, or where a resample has no answer."""
    if len(found) < FEW_UNITS:
        return None
    rng, study = np.random.default_rng(settings.study.seed), settings.study
    drawn = rng.multinomial(len(found), weights, size=study.resamples) / len(found)
    roots = [root(scales, row) for row in drawn @ gains]
    known = [each for each in roots if each is not None]
    if len(known) < len(roots):
        return None
    low, high = np.quantile(known, [(1 - study.confidence) / 2, (1 + study.confidence) / 2])
    return acceptance(found, float(low)), acceptance(found, float(high))
