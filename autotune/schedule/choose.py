"""From gains by batch size and draft length to a schedule, and how sure its crossovers are. Pure functions.

A schedule never drafts more at a larger batch: a row of the target pass gets no cheaper with more requests in it.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
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


def crossovers(
    gains: Mapping[int, Values], tokens: Sequence[int], *, confidence: float, resamples: int, seed: int
) -> tuple[list[int], list[Crossover]]:
    """The schedule and where it falls. `gains` are [windows, tokens] by batch size; all draft lengths of a window are
    drawn together, as they were measured. Percentiles of the schedules of `resamples` bootstrap samples.
    """
    batches = sorted(gains)
    schedule = best_schedule({batch: gains[batch].mean(axis=0).tolist() for batch in batches}, tokens)
    rng = np.random.default_rng(seed)
    drawn = [
        best_schedule({batch: _resampled(gains[batch], rng).tolist() for batch in batches}, tokens)
        for _ in range(resamples)
    ]
    levels = sorted({count for count in schedule if count}, reverse=True)
    tail = (1 - confidence) / 2
    found = []
    for level in levels:
        places = sorted(_falls(other, level) for other in drawn)
        ends = (places[int(tail * (len(places) - 1))], places[-1 - int(tail * (len(places) - 1))])
        low, high = (batches[end] if end < len(batches) else None for end in ends)
        place = _falls(schedule, level)
        found.append(Crossover(level, batches[place] if place < len(batches) else None, low, high))
    return schedule, found


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


def default_batches(most: int) -> list[int]:
    """1, 2, 4, ... and `most` itself."""
    powers = itertools.takewhile(lambda size: size < most, (2**power for power in itertools.count()))
    return [*powers, most]
