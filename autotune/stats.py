"""Paired statistics on log-ratios. Pure functions of numpy arrays; seeded, so that a report can be made again.

The unit (a prompt, or a window of load) is what is drawn at random; repeats are nested in it. One value a unit goes in.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FEW_UNITS = 8
CHUNK = 2_000_000
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A mean log-ratio, read as the factor exp(mean), with bounds at `confidence`; bounds are None below two units."""

    mean: float
    low: float | None
    high: float | None
    units: int
    method: str

    @property
    def factor(self) -> float:
        return math.exp(self.mean)

    @property
    def factor_bounds(self) -> tuple[float, float] | None:
        return None if self.low is None or self.high is None else (math.exp(self.low), math.exp(self.high))

    @property
    def above_zero(self) -> bool:
        return self.low is not None and self.low > 0

    @property
    def contains_zero(self) -> bool:
        return self.low is None or self.high is None or self.low <= 0 <= self.high


def interval(groups: list[list[float]], *, confidence: float, resamples: int, seed: int) -> Interval:
    """The mean over units of the mean over their repeats. Bootstrap over units and repeats; Student's t for few
    units.
    """
    means = np.array([float(np.mean(group)) for group in groups])
    if len(means) < 2:
        return Interval(float(means.mean()), None, None, len(means), "one unit has no interval")
    if len(means) < FEW_UNITS:
        low, high = student_bounds(means, confidence)
        return Interval(float(means.mean()), low, high, len(means), f"Student's t over {len(means)} units")
    low, high = bootstrap_bounds(groups, confidence, resamples, seed)
    return Interval(float(means.mean()), low, high, len(means), f"bootstrap over {len(means)} units and their repeats")


def student_bounds(values: Values, confidence: float) -> tuple[float, float]:
    from scipy.stats import t

    half = float(t.ppf((1 + confidence) / 2, len(values) - 1)) * float(values.std(ddof=1)) / math.sqrt(len(values))
    return float(values.mean()) - half, float(values.mean()) + half


def bootstrap_bounds(groups: list[list[float]], confidence: float, resamples: int, seed: int) -> tuple[float, float]:
    """Percentile bootstrap of units, then of repeats inside a unit, with the percentiles widened for a small number of
    units (Hesterberg 2015, section 4.3.1): the normal quantile becomes Student's, times sqrt(n / (n - 1)).
    """
    from scipy.stats import norm, t

    means = resampled_means(groups, resamples, np.random.default_rng(seed))
    wide = float(t.ppf((1 + confidence) / 2, len(groups) - 1)) * math.sqrt(len(groups) / (len(groups) - 1))
    tail = float(norm.cdf(-wide))
    return float(np.quantile(means, tail)), float(np.quantile(means, 1 - tail))


def resampled_means(groups: list[list[float]], resamples: int, rng: np.random.Generator) -> Values:
    """Means [resamples] over units drawn with replacement, and repeats inside each."""
    sizes = np.array([len(group) for group in groups])
    table = np.zeros((len(groups), int(sizes.max())))
    for row, group in zip(table, groups, strict=True):
        row[: len(group)] = group
    chunks = np.array_split(np.arange(resamples), max(1, resamples * table.size // CHUNK))
    return np.concatenate([_resampled_means(table, sizes, len(chunk), rng) for chunk in chunks])


def _resampled_means(table: Values, sizes: NDArray[np.int64], resamples: int, rng: np.random.Generator) -> Values:
    """Means [resamples] of units drawn with replacement from `table` [units, most repeats], and repeats inside each."""
    units = rng.integers(len(table), size=(resamples, len(table)))
    drawn = (rng.random((resamples, *table.shape)) * sizes[units][..., None]).astype(np.int64)
    used = np.arange(table.shape[1]) < sizes[units][..., None]
    values = np.where(used, table[units[..., None], drawn], 0.0)
    return (values.sum(axis=-1) / sizes[units]).mean(axis=1)


def expected_maximum(count: int) -> float:
    """Mean of the largest of `count` standard normal values, Blom's approximation: how far luck lifts the best of
    several.
    """
    from scipy.stats import norm

    return 0.0 if count < 2 else float(norm.ppf((count - 0.375) / (count + 0.25)))


def worse(candidate: Values, incumbent: Values, *, alpha: float, rivals: int, planned: int) -> bool:
    """One-sided paired t-test at `alpha` over the units measured so far: is the candidate's mean below the incumbent's?

    The incumbent was the best of `rivals` over `planned` units, so luck has lifted its mean by about expected_maximum
    standard errors; without that allowance equal configurations would be stopped far more often than `alpha`.
    The noise of one configuration is that of the difference / sqrt(2).
    """
    from scipy.stats import t

    difference = candidate - incumbent
    deviation = float(difference.std(ddof=1))
    luck = expected_maximum(rivals) * deviation / math.sqrt(2 * planned)
    if deviation == 0:
        return float(difference.mean()) < 0
    statistic = (float(difference.mean()) + luck) / (deviation / math.sqrt(len(difference)))
    return statistic < float(t.ppf(alpha, len(difference) - 1))


def looks(units: int, first: int) -> tuple[int, ...]:
    """After how many units the test is taken: a first, and then at most two more, never on the last unit.

    None where few units are planned: with so few, the best of several is too lucky for the test's allowance.
    """
    if units <= first or units < FEW_UNITS:
        return ()
    return tuple(sorted({first, (first + units) // 2, units - max(1, units // 6)} - {units}))
