"""How much to measure: the planned passes, fewer where the interval is narrow enough, more where it is not.

Only the width decides, never where the interval lies, so stopping favours no outcome.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from autotune.analysis import Gains
from autotune.load import load_of
from autotune.robust.mix import Mix
from autotune.robust.race import Width, combined
from autotune.settings import LoadSettings, Settings
from autotune.stats import FEW_UNITS, student_bounds

LOOKS_A_PASS = 4


def most_passes(passes: int, settings: Settings) -> int:
    """How many passes there may be, where `passes` are planned."""
    return passes if settings.study.precision is None else max(passes, settings.study.max_passes)


@dataclass(frozen=True)
class Enough:
    """`visits` make a pass, `passes` of them are planned and `most` allowed. `early`: a measurement may end inside the
    plan.
    """

    precision: float | None
    confidence: float
    visits: int
    passes: int
    most: int
    early: bool
    new_units: bool
    mix: Mix | None = None

    @property
    def planned(self) -> int:
        return self.visits * self.passes

    def expected(self, done: int) -> int:
        """How many visits there will be, as far as is known after `done`."""
        return max(self.planned, math.ceil(done / self.visits) * self.visits)

    def ends(self, measured: Gains, done: int) -> str | None:
        """Why nothing more is measured after `done` visits; None where it goes on."""
        if self.precision is None:
            return "" if done >= self.planned else None
        whole_pass = done % self.visits == 0
        if done < self.planned:
            look = done % max(1, self.visits // LOOKS_A_PASS) == 0
            narrow = self.early and look and len(measured) >= FEW_UNITS and self._narrow(measured)
            return f"narrow enough after {done} of {self.planned} visits" if narrow else None
        if not whole_pass:
            return None
        if self._narrow(measured):
            return "" if done == self.planned else f"narrow enough after {done} visits, {self.planned} were planned"
        if done >= self.visits * self.most:
            return f"not narrow enough after {done} visits, the most that study.max_passes allows"
        if not self.new_units and (self._of(floor, measured) or 0.0) > self.precision:
            return "the prompts differ too much for study.precision; more prompts would help, more passes would not"
        return None

    def _narrow(self, measured: Gains) -> bool:
        half = self._of(half_width, measured)
        return half is not None and self.precision is not None and half <= self.precision

    def _of(self, width: Width, measured: Gains) -> float | None:
        """Of the one number, of which several workloads may be parts."""
        if self.mix is None:
            return width(measured, self.confidence)
        return combined(measured, self.confidence, self.mix, width)


def enough(settings: Settings, visits: int, passes: int, *, early: bool) -> Enough:
    """For a measurement of `passes` planned passes with `visits` each."""
    study = settings.study
    return Enough(
        study.precision, study.confidence, visits, passes, most_passes(passes, settings), early,
        new_units=makes_new_units(settings.load), mix=settings.mix,
    )  # fmt: skip


def all_end(rule: Enough, measured: Sequence[Gains], done: int) -> str | None:
    """Why nothing more is measured, where several measurements end together; None while one of them goes on."""
    endings = [rule.ends(each, done) for each in measured]
    return None if None in endings else next(filter(None, endings), "")


def makes_new_units(load: LoadSettings) -> bool:
    """Whether a further pass is new windows, rather than the same prompts again."""
    return load_of(load).kind != "single"


def half_width(measured: Gains, confidence: float) -> float | None:
    """Of Student's interval over the units' means; None below two units."""
    means = np.array([np.mean(values) for values in measured.values()])
    if len(means) < 2:
        return None
    low, high = student_bounds(means, confidence)
    return (high - low) / 2


def floor(measured: Gains, confidence: float) -> float:
    """The half-width that repeats surely do not get below, because the prompts themselves differ; 0 where there are no
    repeats to tell.

    One-way analysis of variance: Var(unit means) = Var(prompts) + Var(repeats) / r, with the lower 95 % bound for
    Var(prompts) from the F distribution.
    """
    from scipy.stats import f

    repeated = [values for values in measured.values() if len(values) > 1]
    if len(repeated) < 2:
        return 0.0
    within = float(np.mean([np.var(values, ddof=1) / len(values) for values in repeated]))
    total = float(np.var([np.mean(values) for values in measured.values()], ddof=1))
    freedom = sum(len(values) - 1 for values in repeated)
    surely = total / float(f.ppf(0.95, len(measured) - 1, freedom)) - within
    half = half_width(measured, confidence) or 0.0
    return half * math.sqrt(max(0.0, surely) / total) if total else 0.0
