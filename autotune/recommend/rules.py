"""The tables of conf/recommend as frozen values, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from autotune.errors import UsageError
from autotune.schema import build
from autotune.settings import ranged

TEXTS = ("copy", "code", "free", "mixed")


@dataclass(frozen=True)
class Draft:
    """What a method's weights add: `layers` like the target's, `hidden` times hidden size squared and `vocab` times
    hidden size times vocabulary numbers, `caches` layers that keep keys and values; or a model of its `own` size.
    """

    layers: int = ranged(low=0, default=0)
    hidden: float = ranged(low=0.0, default=0.0)
    vocab: float = ranged(low=0.0, default=0.0)
    caches: int = ranged(low=0, default=0)
    own: bool = False


@dataclass(frozen=True)
class MethodRule:
    """`speedup` is [low, high] by the kind of text, for one greedy request at a time."""

    speedup: dict
    source: str
    start: dict
    because: str
    draft: dict = field(default_factory=dict)
    modules: str | None = None

    def expected(self, text: str) -> tuple[float, float]:
        """Of mixed text from the least to the most."""
        kinds = list(self.speedup) if text == "mixed" else [text]
        return min(self.speedup[kind][0] for kind in kinds), max(self.speedup[kind][1] for kind in kinds)

    @property
    def adds(self) -> Draft:
        return build(Draft, self.draft, "recommend.methods.draft")


@dataclass(frozen=True)
class Guide:
    """conf/recommend: what is asked, and the tables; the comments stand there."""

    methods: dict
    shapes: dict
    texts: dict
    load: list
    longest: list
    sampled: list
    usable: float = ranged(low=0.1, high=1.0)
    context_tokens: int = ranged(low=1)
    bytes_per_number: float = ranged(low=0.1)
    memory_gib: float | None = ranged(low=0.0, default=None)
    target_speedup: float | None = ranged(low=1.0, default=None)
    text: str | None = field(default=None, metadata={"choices": TEXTS})

    def rule(self, method: str) -> MethodRule | None:
        values = self.methods.get(method)
        return None if values is None else build(MethodRule, values, f"recommend.methods.{method}")

    def text_of(self, workload: str) -> str:
        return self.text or str(self.texts.get(workload, "mixed"))

    def under_load(self, requests: int) -> tuple[float, float]:
        """What remains of a speed-up, between the table's rows in proportion."""
        rows = sorted(self.load)
        below = [row for row in rows if row[0] <= requests] or [rows[0]]
        above = [row for row in rows if row[0] >= requests] or [rows[-1]]
        low, high = below[-1], above[0]
        part = (requests - low[0]) / (high[0] - low[0]) if high[0] > low[0] else 0.0
        return low[1] + part * (high[1] - low[1]), low[2] + part * (high[2] - low[2])

    def longest_draft(self, requests: int) -> int:
        return int([row[1] for row in sorted(self.longest) if row[0] <= requests][-1])


def guide(values: Mapping[str, Any] | None) -> Guide:
    """UsageError for what the tables do not hold."""
    found = build(Guide, values, "recommend")
    for method in found.methods:
        _check_method(method, found.rule(method))
    for workload, text in found.texts.items():
        if text not in TEXTS:
            raise UsageError(f"recommend.texts.{workload} is {text!r}; allowed: {', '.join(TEXTS)}")
    _check_rows("recommend.load", found.load, 3)
    _check_rows("recommend.longest", found.longest, 2)
    if not is_numbers(found.sampled, 2):
        raise UsageError(f"recommend.sampled is {found.sampled!r}; it must be [at least, at most]")
    return found


def _check_method(name: str, rule: MethodRule | None) -> None:
    speedup = {} if rule is None else rule.speedup
    if set(speedup) != set(TEXTS) - {"mixed"} or not all(is_numbers(pair, 2) for pair in speedup.values()):
        raise UsageError(
            f"recommend.methods.{name}.speedup is {speedup}; it must be [low, high] for copy, code and free"
        )


def _check_rows(key: str, rows: list, size: int) -> None:
    """Each row begins with a number of requests; the table with one request, or what holds from there on."""
    if not rows or not all(is_numbers(row, size) for row in rows):
        raise UsageError(f"{key} is {rows!r}; it must be rows of {size} numbers, such as {[1] * size}")
    if size == 2 and min(rows)[0] > 1:
        raise UsageError(f"{key} begins at {min(rows)[0]} requests; its first row must be for 1")


def is_numbers(values: object, size: int) -> bool:
    return isinstance(values, list) and len(values) == size and all(isinstance(value, int | float) for value in values)
