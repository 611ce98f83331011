"""From gains by batch size and draft length to a schedule, and how sure its crossovers are. Pure functions.

A schedule never drafts more at a larger batch: a row of the target pass gets no cheaper with more requests in it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Gains = Mapping[int, Sequence[Values]]
"""Log-gains over the baseline by batch size: [windows, draft lengths] for every context."""
EQUAL = 0.005  # log-ratio within which fewer drafted tokens are as good


@dataclass(frozen=True)
class Crossover:
    """From `batch` on, fewer than `tokens` are drafted; None where that is beyond what was measured. `low` and `high`
    bound it at the study's confidence, among the measured batch sizes.
    """

    tokens: int
    batch: int | None
    low: int | None
    high: int | None


def best_schedule(means: Mapping[int, Sequence[float]], tokens: Sequence[int]) -> list[int]:
    """Of all schedules that never rise, the one with the highest sum over `means`: log-gains [tokens] by batch size.

    `tokens` rise from 0. Dynamic programming from the largest batch down; ties within EQUAL go to fewer tokens.
    """
    best: list[tuple[float, list[int]]] = [(0.0, [])] * len(tokens)
    for batch in sorted(means, reverse=True):
        row: list[tuple[float, list[int]]] = []
        for place, count in enumerate(tokens):
            after, tail = best[place]
            here = (means[batch][place] + after, [count, *tail])
            row.append(here if not row or here[0] > row[-1][0] + EQUAL else row[-1])
        best = row
    return best[-1][1]


@dataclass(frozen=True)
class Choice:
    """The best schedule, where it falls, and the best schedules of the bootstrap samples."""

    schedule: list[int]
    crossovers: list[Crossover]
    drawn: list[list[int]]

    def agreement(self, place: int) -> float:
        """In what share of the samples as many tokens are best at this batch size."""
        return sum(other[place] == self.schedule[place] for other in self.drawn) / len(self.drawn)


def choose(
    gains: Gains, tokens: Sequence[int], weights: Sequence[float], *, confidence: float, resamples: int, seed: int
) -> Choice:
    """The schedule with the best weighted mean over contexts, and how sure it is. All draft lengths of a window are
    drawn together, as they were measured. Percentiles of the schedules of `resamples` bootstrap samples.
    """
    batches = sorted(gains)
    schedule = best_schedule(means(gains, weights), tokens)
    rng = np.random.default_rng(seed)
    drawn = [
        best_schedule({batch: _weighted(gains[batch], weights, rng) for batch in batches}, tokens)
        for _ in range(resamples)
    ]
    levels = sorted({count for count in schedule if count}, reverse=True)
    return Choice(schedule, [_crossover(level, batches, schedule, drawn, confidence) for level in levels], drawn)


def means(gains: Gains, weights: Sequence[float]) -> dict[int, list[float]]:
    """Log-gains [tokens] by batch size, the weighted mean over contexts."""
    return {
        batch: np.sum([w * each.mean(axis=0) for w, each in zip(weights, rows, strict=True)], axis=0).tolist()
        for batch, rows in gains.items()
    }


def _weighted(rows: Sequence[Values], weights: Sequence[float], rng: np.random.Generator) -> list[float]:
    return list(np.sum([w * _resampled(each, rng) for w, each in zip(weights, rows, strict=True)], axis=0))


def _crossover(
    level: int, batches: Sequence[int], schedule: list[int], drawn: Sequence[list[int]], confidence: float
) -> Crossover:
    tail = (1 - confidence) / 2
    places = sorted(_falls(other, level) for other in drawn)
    ends = (places[int(tail * (len(places) - 1))], places[-1 - int(tail * (len(places) - 1))])
    low, high = (batches[end] if end < len(batches) else None for end in ends)
    place = _falls(schedule, level)
    return Crossover(level, batches[place] if place < len(batches) else None, low, high)


def unsure(
    schedule: Sequence[int], gains: Gains, tokens: Sequence[int], weights: Sequence[float], confidence: float,
    narrow: float,
) -> list[int]:  # fmt: skip
    """The batch sizes at which another draft length may be better or worse than the schedule's, as far as is known, and
    the difference is not known to within `narrow` on either side. By Student's interval: a bootstrap of few windows is
    too sure of itself.
    """
    left = []
    for batch, count in zip(sorted(gains), schedule, strict=True):
        mine = tokens.index(count)
        differences = [[rows[:, place] - rows[:, mine] for rows in gains[batch]] for place in range(len(tokens))]
        known = [_student(parts, weights, confidence) for place, parts in enumerate(differences) if place != mine]
        if any(abs(middle) < half and half > narrow for middle, half in known):
            left.append(batch)
    return left


def _student(parts: Sequence[Values], weights: Sequence[float], confidence: float) -> tuple[float, float]:
    """A weighted mean and the half-width of its interval; the degrees of freedom are those of the shortest part."""
    from scipy.stats import t

    pairs = list(zip(weights, parts, strict=True))
    error = math.sqrt(sum(w**2 * part.var(ddof=1) / len(part) for w, part in pairs))
    freedom = min(len(part) for part in parts) - 1
    return sum(w * float(part.mean()) for w, part in pairs), error * float(t.ppf(0.5 + confidence / 2, freedom))


def _resampled(values: Values, rng: np.random.Generator) -> Values:
    """The mean of one draw fewer than windows: few of them spread too little (Hesterberg 2015, section 4.3.1)."""
    size = max(1, len(values) - 1)
    return np.asarray(values[rng.integers(len(values), size=size)].mean(axis=0))


def _falls(schedule: Sequence[int], level: int) -> int:
    """The place of the first batch size at which fewer than `level` are drafted; the length where there is none."""
    return next((place for place, count in enumerate(schedule) if count < level), len(schedule))


def buckets(batches: Sequence[int], schedule: Sequence[int]) -> list[list[int]]:
    """[first, last, tokens]: a measured batch size stands for those up to the next one."""
    ends = [*(batch - 1 for batch in batches[1:]), batches[-1]]
    found: list[list[int]] = []
    for first, last, count in zip(batches, ends, schedule, strict=True):
        if found and found[-1][2] == count:
            found[-1][1] = last
        else:
            found.append([first, last, count])
    return found


def best_fixed(means: Mapping[int, Sequence[float]], tokens: Sequence[int]) -> int:
    """The one draft length with the highest sum over the batch sizes, fewer where equal."""
    sums = [sum(row[place] for row in means.values()) for place in range(len(tokens))]
    return next(count for count, total in zip(tokens, sums, strict=True) if total >= max(sums) - EQUAL)


def best_cutoff(means: Mapping[int, Sequence[float]], tokens: Sequence[int]) -> tuple[int, int]:
    """Of schedules with one draft length up to a batch size and none above, the best: (tokens, last batch size that
    drafts). Fewer tokens, then fewer batch sizes, where equal; (0, 0) where nothing pays.
    """
    batches = sorted(means)
    found, best = (0, 0), EQUAL
    for place, count in enumerate(tokens):
        sums = itertools.accumulate(means[batch][place] for batch in batches)
        for last, total in zip(batches, sums, strict=True):
            if total > best + EQUAL * (found != (0, 0)):
                found, best = (count, last), total
    return found


def default_batches(most: int) -> list[int]:
    """1, 2, 4, ... and `most` itself."""
    powers = itertools.takewhile(lambda size: size < most, (2**power for power in itertools.count()))
    return [*powers, most]
