"""Predictions with intervals: every measured trial of the method tells of the configuration, and the surer ones count
more.

A telling starts at what that trial measured and adds what the laws of cost and acceptance say of the change of shape.
Its variance is that of the measurement, of the laws, and of the other knobs' distance. Errors of different trials are
taken to be half correlated.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from autotune.model import neighbours
from autotune.model.cost import StepModel
from autotune.model.evidence import Evidence
from autotune.model.neighbours import Pair, Variogram
from autotune.model.physics import Teller
from autotune.model.point import Point, Scales

NORMAL_90 = 1.645
CORRELATED = 0.5
UNIT_NOISE = 0.03
"""Standard deviation of one unit's log-gain by the luck of its timing, before any is known; worth two units."""


@dataclass(frozen=True)
class Source:
    """A measured trial: its mean gain over all units of the study, and the evidence of its own."""

    number: int
    point: Point
    gain: float
    gains: Mapping[str, float]
    units: Mapping[str, Evidence]


@dataclass(frozen=True)
class Prediction:
    """Of the log-gain that a measurement would show. `sd` is the model's own, `scale` what experience multiplies it by;
    `told_by` are the trials behind, most telling first.
    """

    gain: float
    sd: float
    scale: float
    told_by: tuple[int, ...]

    @property
    def spread(self) -> float:
        return self.sd * self.scale

    @property
    def bounds(self) -> tuple[float, float]:
        """90 % of measurements lie between."""
        return self.gain - NORMAL_90 * self.spread, self.gain + NORMAL_90 * self.spread


class Model:
    """Fitted once to the sources; `steps` by method. `scale` from `experience` with earlier predictions."""

    def __init__(
        self,
        sources: Sequence[Source],
        steps: Mapping[str, StepModel],
        scales: Scales,
        *,
        scale: float = 1.0,
        decoding_only: bool = True,
    ) -> None:
        self.steps, self.scale, self._scales = steps, scale, scales
        self._sources = [source for source in sources if source.point.method in steps]
        self._tellers = {
            source.number: Teller(
                source.units, source.point.shape, steps[source.point.method], decoding_only=decoding_only
            )
            for source in self._sources
        }
        self._noise = {source.number: self._noise_of(source) for source in self._sources}
        self.variogram: Variogram = neighbours.fit(self._pairs())

    def predict(self, point: Point, without: int | None = None) -> Prediction | None:
        """None for a method without a measured trial, and for shapes that none of its trials tells of; the trial
        `without` is not asked.
        """
        asked = [source for source in self._sources if source.number != without]
        tellings = [(*telling, source.number) for source in asked if (telling := self._telling(source, point))]
        if not tellings:
            return None
        tellings.sort(key=lambda telling: telling[1])
        weights = [1 / variance for _, variance, _ in tellings]
        shares = [weight / sum(weights) for weight in weights]
        gain = sum(share * telling[0] for share, telling in zip(shares, tellings, strict=True))
        variance = self._variance(shares, [variance for _, variance, _ in tellings])
        noise = fmean(self._noise.values())
        told_by = tuple(number for share, (_, _, number) in zip(shares, tellings, strict=True) if share > 0.05)
        return Prediction(gain, math.sqrt(variance + noise**2), self.scale, told_by)

    def noise(self, number: int) -> float:
        """Standard error of a trial's mean gain by the luck of timing, its units given."""
        return self._noise.get(number, UNIT_NOISE)

    def _variance(self, shares: Sequence[float], variances: Sequence[float]) -> float:
        apart = sum(share**2 * variance for share, variance in zip(shares, variances, strict=True))
        together = sum(share * math.sqrt(variance) for share, variance in zip(shares, variances, strict=True)) ** 2
        return (1 - CORRELATED) * apart + CORRELATED * together

    def _telling(self, source: Source, point: Point) -> tuple[float, float] | None:
        """The gain, and its variance."""
        change = self._change(source, point)
        if change is None:
            return None
        variance = self.variogram.variance(self._scales.apart(source.point, point))
        return source.gain + change[0], change[1] ** 2 + self._noise[source.number] ** 2 + variance

    def _change(self, source: Source, point: Point) -> tuple[float, float] | None:
        """What another shape adds to the gain, and the standard deviation of that."""
        if source.point.method != point.method:
            return None
        teller = self._tellers[source.number]
        own, other = teller.tell(source.point.shape), teller.tell(point.shape)
        return None if own is None or other is None else (other.mean - own.mean, other.sd)

    def _noise_of(self, source: Source) -> float:
        """From how far the units scatter around what their own counts explain."""
        told = self._tellers[source.number].tell(source.point.shape)
        explained = told.gains if told else {}
        residuals = [source.gains[unit] - gain for unit, gain in explained.items() if unit in source.gains]
        middle = fmean(residuals) if residuals else 0.0
        squares = sum((residual - middle) ** 2 for residual in residuals)
        count = max(1, len(residuals))
        return math.sqrt((2 * UNIT_NOISE**2 + squares) / (1 + count) / count)

    def _pairs(self) -> list[Pair]:
        """Trials told from others that drafted as much or more: beyond them the laws have doubts of their own."""
        found = []
        for source in self._sources:
            for other in self._sources:
                if source is not other and other.point.shape.size <= source.point.shape.size:
                    found += self._pair(source, other)
        return found

    def _pair(self, source: Source, other: Source) -> list[Pair]:
        change = self._change(source, other.point)
        if change is None:
            return []
        error = other.gain - source.gain - change[0]
        known = change[1] ** 2 + self._noise[source.number] ** 2 + self._noise[other.number] ** 2
        weight = 1 / max(1, len(self._sources) - 1)
        return [Pair(error**2, known, self._scales.apart(source.point, other.point), weight)]


def experience(scores: Sequence[float]) -> float:
    """How much wider than announced the errors of earlier predictions were; never narrower. `scores` are errors in
    their announced standard deviations. Three predictions' worth of trust to begin with; one wild miss counts as 4.
    """
    return max(1.0, math.sqrt((3 + sum(min(score**2, 16.0) for score in scores)) / (3 + len(scores))))
