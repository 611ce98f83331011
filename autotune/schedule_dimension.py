"""A schedule searched as structure: how many tokens to draft from which batch size on, fewer from bucket to bucket.

What is drawn for a bucket is cut to the number before it. A schedule that says the same everywhere is none.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from autotune.dimension import Dimension, Outside, Parameters, Suggest
from autotune.errors import UsageError

KIND = "schedule"
EXAMPLE = "{schedule: {from: [1, 2, 4], tokens: [0, 8]}}"


@dataclass(frozen=True)
class ScheduleDimension:
    """`firsts` are the batch sizes at which buckets begin; the last one ends at `last`. `tokens` is the key of what is
    drafted at most, which is what the first bucket drafts.
    """

    path: str
    tokens: str
    firsts: tuple[int, ...]
    last: int
    low: int
    high: int
    owner: str = ""

    @property
    def parts(self) -> tuple[Dimension, ...]:
        """A first bucket without drafts would leave none."""
        return tuple(
            Dimension(f"{self.path}.from_{first}", "int", max(1, self.low) if first == 1 else self.low, self.high,
                      owner=self.owner)
            for first in self.firsts
        )  # fmt: skip

    @property
    def size(self) -> int:
        return sum(1 for _ in self.points())

    def draw(self, suggest: Suggest, found: Parameters, defaults: Mapping[str, Any]) -> None:
        counts = list(itertools.accumulate((suggest(part) for part in self.parts), min))
        found |= {self.path: self._value(counts), self.tokens: counts[0]}

    def locate(self, values: Mapping[str, Any]) -> dict[str, Any]:
        value = values[self.path]
        counts = [values[self.tokens]] * len(self.firsts) if value is None else [range_[2] for range_ in value]
        if value != self._value(counts) or not self._allowed(counts):
            raise Outside(self.path, value if value is not None else f"null with {counts[0]} tokens", str(self),
                          self.owner)  # fmt: skip
        return self._at(counts)

    def points(self) -> Iterator[dict[str, Any]]:
        counted = itertools.product(*(range(self.high, self.low - 1, -1) for _ in self.firsts))
        return (self._at(counts) for counts in counted if self._allowed(counts))

    def starts(self, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [self.locate(values)]

    def simplicity(self, values: Mapping[str, Any]) -> tuple[float, ...]:
        """No schedule first; then fewer tokens."""
        value = values[self.path]
        return (0.0 if value is None else 1.0, values[self.tokens], *(range_[2] for range_ in value or ()))

    def _value(self, counts: Sequence[int]) -> list[list[int]] | None:
        if len(set(counts)) == 1:
            return None
        ends = [*(first - 1 for first in self.firsts[1:]), self.last]
        return [list(range_) for range_ in zip(self.firsts, ends, counts, strict=True)]

    def _allowed(self, counts: Sequence[Any]) -> bool:
        inside = all(isinstance(count, int) and self.low <= count <= self.high for count in counts)
        return inside and len(counts) == len(self.firsts) and counts[0] > 0 and all(a >= b for a, b in pairwise(counts))

    def _at(self, counts: Sequence[int]) -> dict[str, Any]:
        return {part.coordinate: count for part, count in zip(self.parts, counts, strict=True)}

    def __str__(self) -> str:
        return f"{self.low} to {self.high} tokens from batch sizes {', '.join(map(str, self.firsts))} on, never rising"


def parse_schedule(path: str, block: Mapping[str, Any], tokens: str, last: int, owner: str) -> ScheduleDimension:
    """From {"schedule": {"from": [1, 2, 4], "tokens": [0, 8]}}; `last` is the most that can run at once."""
    where, given = f"search of {path}", block[KIND]
    wrong = UsageError(f"{where} is {dict(block)!r}; it must be like {EXAMPLE}")
    if len(block) > 1 or not isinstance(given, Mapping) or set(given) != {"from", "tokens"}:
        raise wrong
    firsts, bounds = given["from"], given["tokens"]
    if not _counts(firsts) or not _counts(bounds) or len(bounds) != 2:
        raise wrong
    if len(firsts) < 2 or firsts[0] != 1 or any(a >= b for a, b in pairwise(firsts)) or firsts[-1] > last:
        raise UsageError(
            f"{where} begins buckets at {list(firsts)}; they must be two or more, rise from 1, "
            f"and end with at most engine.max_num_seqs={last}"
        )
    low, high = bounds
    if not low <= high or high < 1:
        raise UsageError(f"{where} has tokens {list(bounds)}; they must be [low, high] with 0 <= low <= high, high > 0")
    return ScheduleDimension(path, tokens, tuple(firsts), last, low, high, owner)


def _counts(values: object) -> bool:
    listed = isinstance(values, Sequence) and not isinstance(values, str)
    return listed and all(isinstance(v, int) and not isinstance(v, bool) and v >= 0 for v in values)  # type: ignore[attr-defined]
