"""Curves through measured points: never falling where they must not, straight between neighbours. Pure functions."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

Points = tuple[tuple[float, float], ...]
"""(place, value), ascending in places."""


def isotonic(values: Sequence[float], weights: Sequence[float]) -> list[float]:
    """The nearest never-falling sequence, by pooling adjacent violators (Barlow et al. 1972)."""
    blocks: list[tuple[float, float, int]] = []  # mean, weight, length
    for value, weight in zip(values, weights, strict=True):
        blocks.append((value, weight, 1))
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (a, v, m), (b, w, n) = blocks[-2:]
            blocks[-2:] = [((a * v + b * w) / (v + w), v + w, m + n)]
    return [mean for mean, _, length in blocks for _ in range(length)]


def between(left: tuple[float, float], right: tuple[float, float], place: float) -> float:
    """On the straight line through two points; the right one's value where they are one place."""
    if left[0] == right[0]:
        return right[1]
    return left[1] + (right[1] - left[1]) * (place - left[0]) / (right[0] - left[0])


def at(points: Points, place: float) -> float:
    """Straight between points; before the first its value; beyond the last the line from the first to the last."""
    index = bisect_left(points, (place, float("-inf")))
    if index == 0:
        return points[0][1]
    if index == len(points):
        return between(points[0], points[-1], place)
    return between(points[index - 1], points[index], place)


def unknown(points: Points, place: float) -> float:
    """How far off `at` may be for all that the points say, as a standard deviation.

    Between two points a never-falling curve may run anywhere in the box that they span: a quarter of the box's height
    in the middle. Beyond the last, a third of what the line adds.
    """
    index = bisect_left(points, (place, float("-inf")))
    if index == 0:
        return 0.0
    if index == len(points):
        return abs(at(points, place) - points[-1][1]) / 3
    (left, low), (right, high) = points[index - 1], points[index]
    share = (place - left) / (right - left)
    return share * (1 - share) * abs(high - low)


def weighted_median(values: Sequence[float], weights: Sequence[float]) -> float:
    """The value at which half of the weight is reached."""
    half, reached = sum(weights) / 2, 0.0
    for value, weight in sorted(zip(values, weights, strict=True)):
        reached += weight
        if reached >= half:
            return value
    raise ValueError("no values")
