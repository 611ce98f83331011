"""How much knobs matter that no law describes: the variance of a gain between two settings grows with their distance.

    Var(gain(a) - gain(b) - what is told of the shapes) = known + still + sum over knobs of slope[knob] * distance[knob]

The slopes are those of a variogram, fitted to all pairs of measured trials by the likelihood's multiplicative updates
(Févotte and Idier 2011, equation for the Itakura-Saito divergence), held by a prior that is worth a few pairs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

PRIOR = 0.15**2
"""Variance of the log-gain over the whole range of a knob, before anything is known of it."""
STILL = 0.01**2
"""And between two measurements of the same knobs, beyond the noise: what the laws get wrong."""
WORTH = 2.0
ROUNDS = 40
LEAST = 1e-6


@dataclass(frozen=True)
class Pair:
    """Squared error of telling one trial from another, the variance that is known, the distances by knob."""

    error: float
    known: float
    apart: Mapping[str, float]
    weight: float


@dataclass(frozen=True)
class Variogram:
    """`slopes` of knobs that were met; others have the prior's."""

    still: float
    slopes: Mapping[str, float]

    def variance(self, apart: Mapping[str, float]) -> float:
        return self.still + sum(self.slopes.get(path, PRIOR) * far for path, far in apart.items())


def fit(pairs: Sequence[Pair]) -> Variogram:
    """The prior where there are no pairs."""
    priors = {path: PRIOR for pair in pairs for path in pair.apart} | {"": STILL}
    found = dict(priors)
    for _ in range(ROUNDS if pairs else 0):
        totals = [_total(pair, found) for pair in pairs]
        found = {name: _updated(name, found[name], priors[name], pairs, totals) for name in found}
    return Variogram(found.pop(""), found)


def _total(pair: Pair, found: Mapping[str, float]) -> float:
    return pair.known + found[""] + sum(found[path] * far for path, far in pair.apart.items())


def _updated(name: str, value: float, prior: float, pairs: Sequence[Pair], totals: Sequence[float]) -> float:
    up, down = WORTH * prior / value**2, WORTH / value
    for pair, total in zip(pairs, totals, strict=True):
        far = pair.apart.get(name, 0.0) if name else 1.0
        up += pair.weight * far * pair.error / total**2
        down += pair.weight * far / total
    return max(LEAST, value * (up / down) ** 0.5)
