"""Acceptance by position, and what another number of drafted tokens would have come to on the same drafts.

A chain of K' < K tokens is the prefix of the chain of K drafted at the same place, so min(accepted, K') of it are
accepted: summed over drafts that is a prefix sum of the counts by position, and exact. How many passes a whole answer
then takes is not: the shorter chain comes to other places. `passes` bounds it from two sides.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

NARROW = 0.1
"""How much, as a standard deviation, an unseen position's chance may differ from the one before it."""


@dataclass(frozen=True)
class Chance:
    """Of `tried` a share `mean` is accepted; Beta(accepted + 1/2, rejected + 1/2) has the bounds and `sd`."""

    tried: float
    mean: float
    sd: float

    def bounds(self, confidence: float = 0.9) -> tuple[float, float]:
        from scipy.stats import beta

        a, b = self.mean * self.tried + 0.5, (1 - self.mean) * self.tried + 0.5
        return float(beta.ppf((1 - confidence) / 2, a, b)), float(beta.ppf((1 + confidence) / 2, a, b))


def chance(tried: float, accepted: float) -> Chance:
    a, b = accepted + 0.5, max(0.0, tried - accepted) + 0.5
    return Chance(tried, accepted / tried if tried else 0.5, math.sqrt(a * b / (a + b) ** 2 / (a + b + 1)))


def conditional(drafted: Sequence[int], accepted: Sequence[int]) -> list[Chance]:
    """The chance of position i once the one before it was accepted (Kaplan and Meier 1958).

    Of the accepted[i - 1] drafts that came so far, those that ended there are no trial of position i. How many is not
    counted by position; drafts end as often among them as among all.
    """
    found = []
    for i, (length, taken) in enumerate(zip(drafted, accepted, strict=True)):
        tried = float(length) if i == 0 else accepted[i - 1] * length / drafted[i - 1] if drafted[i - 1] else 0.0
        found.append(chance(max(tried, taken), taken))
    return found


def imputed(counts: Sequence[float], tokens: int) -> float:
    """The sum over drafts of min(count, `tokens`), exactly, from how many drafts reached each position."""
    return sum(counts[:tokens])


@dataclass(frozen=True)
class Extension:
    """Positions beyond those measured: each is reached by `kept` of the drafts before it, and accepted with `chance`,
    give or take `sd`, which grows with the distance.
    """

    chance: float
    sd: float
    kept: float

    def reach(self, drafted: Sequence[float], accepted: Sequence[float], tokens: int, shift: float = 0.0) -> tuple[
        list[float], list[float]
    ]:  # fmt: skip
        """The counts by position up to `tokens`; `shift` moves the chance by so many standard deviations."""
        longer, more = list(drafted[:tokens]), list(accepted[:tokens])
        for step in range(tokens - len(longer)):
            moved = self.chance + shift * math.hypot(self.sd, NARROW * math.sqrt(1 + step))
            longer.append((longer[-1] if longer else 0.0) * self.kept)
            more.append((more[-1] if more else 0.0) * self.kept * min(0.999, max(0.0, moved)))
        return longer, more


def extension(drafted: Sequence[int], accepted: Sequence[int]) -> Extension:
    """From the last measured position: its chance, and how many drafts went on to it."""
    known = [c for c in conditional(drafted, accepted) if c.tried >= 1]
    last = known[-1] if known else chance(0, 0)
    kept = drafted[-1] / drafted[-2] if len(drafted) > 1 and drafted[-2] else 1.0
    return Extension(last.mean, last.sd, kept)


def passes(passes: float, accepted: Sequence[float], tokens: int) -> tuple[float, float]:
    """Target passes for the same tokens with drafts of `tokens`, from the counts of a run with more or as many.

    First, if the chance of a position does not depend on where a draft begins: tokens / (1 + accepted per pass).
    Second, if the text that a draft had right goes on to be drafted: a + 1 tokens in ceil((a + 1) / (tokens + 1)), and
    where all of it was right, without rounding, because the next draft goes on in the same text.
    """
    total = passes + sum(accepted)
    anew = total / (1 + imputed(accepted, tokens) / passes)
    width = tokens + 1
    onward = passes + sum(accepted[multiple - 1] for multiple in range(width, len(accepted) + 1, width))
    longest = len(accepted)
    rounded_up = longest // width + 1 - (longest + 1) / width
    whole = accepted[-1] if longest > tokens else 0.0
    return anew, max(onward - whole * rounded_up, total / width)
