"""Limits that a configuration must keep to be chosen: a violation for each, from what a trial has measured.

A violation is relative: (value - max) / max, or (min - value) / min; 0 or below is kept. What was not measured, such as
the acceptance of a method without drafts, is not kept.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from autotune.errors import UsageError, nearest

TIMES = tuple(
    f"{time}_{level}" for time in ("ttft_ms", "tpot_ms", "e2e_ms", "itl_ms") for level in ("p50", "p95", "p99")
)
MEMORY, GOODPUT, SPEEDUP = "memory_gib", "goodput_share", "speedup"
NAMES = (*TIMES, MEMORY, "acceptance_rate", SPEEDUP, GOODPUT)
METRICS = {MEMORY: "peak_memory_gib", GOODPUT: "slo_share"}
"""The metric behind a name, where that is another."""
BOUNDS: tuple[Literal["min", "max"], ...] = ("min", "max")
EXAMPLE = "constraints={ttft_ms_p95: {max: 200}}"


@dataclass(frozen=True)
class Constraint:
    """One bound of one name; both bounds of a name are two constraints."""

    name: str
    bound: Literal["min", "max"]
    limit: float

    @property
    def words(self) -> str:
        return f"{self.name} of at {'most' if self.bound == 'max' else 'least'} {self.limit:g}"

    @property
    def key(self) -> str:
        return f"{self.name}.{self.bound}"

    def value(self, metrics: Mapping[str, Any], speedup: float | None) -> float | None:
        if self.name == SPEEDUP:
            return speedup
        if self.name in TIMES:
            metric, _, level = self.name.rpartition("_")
            return (metrics.get(metric) or {}).get(level)
        return metrics.get(METRICS.get(self.name, self.name))

    def violation(self, value: float | None) -> float:
        if value is None:
            return 1.0
        over = value - self.limit if self.bound == "max" else self.limit - value
        return over / self.limit if self.limit else over


@dataclass(frozen=True)
class Found:
    """What a configuration has of what a constraint limits."""

    constraint: Constraint
    value: float | None

    @property
    def violation(self) -> float:
        return self.constraint.violation(self.value)

    @property
    def kept(self) -> bool:
        return self.violation <= 0

    def __str__(self) -> str:
        value = "not measured" if self.value is None else f"{self.value:.4g}"
        return f"{self.constraint.name} is {value}, {self.constraint.words.partition(' of ')[2]} is allowed"


def parse(block: object) -> tuple[Constraint, ...]:
    """From {name: {max: x, min: y}}; null takes a constraint away."""
    if not isinstance(block, Mapping):
        raise UsageError(f"constraints is {block!r}; it must be a mapping such as {EXAMPLE}")
    found: list[Constraint] = []
    for name, bounds in block.items():
        if name not in NAMES:
            raise UsageError(f"unknown constraint {name}; {nearest(str(name), list(NAMES))}")
        found += [] if bounds is None else _bounds(name, bounds)
    return tuple(found)


def _bounds(name: str, bounds: object) -> list[Constraint]:
    if not isinstance(bounds, Mapping) or not bounds or not set(bounds) <= set(BOUNDS):
        raise UsageError(f"constraints.{name} is {bounds!r}; it must be {{max: x}} or {{min: x}}")
    for bound, limit in bounds.items():
        number = isinstance(limit, int | float) and not isinstance(limit, bool) and math.isfinite(limit)
        if not number or limit < 0:
            raise UsageError(f"constraints.{name}.{bound} is {limit!r}; it must be a number of at least 0")
    if len(bounds) == len(BOUNDS) and bounds["min"] > bounds["max"]:
        raise UsageError(f"constraints.{name} has min {bounds['min']} above max {bounds['max']}; nothing can keep both")
    return [Constraint(name, bound, float(bounds[bound])) for bound in BOUNDS if bound in bounds]


def check(constraints: Sequence[Constraint], *, replays: bool, has_slo: bool) -> None:
    """UsageError for what this run cannot measure."""
    for constraint in constraints:
        if replays and (constraint.name in TIMES or constraint.name in (MEMORY, GOODPUT)):
            raise UsageError(
                f"constraints.{constraint.name} needs a model; model=replay measures no times and no memory, "
                f"only acceptance_rate and {SPEEDUP}"
            )
        if constraint.name == GOODPUT and not has_slo:
            raise UsageError(
                f"constraints.{GOODPUT} is the share of requests within load.slo, which names no limit; give at least "
                "one, such as load.slo.ttft_ms=200"
            )


def found_in(constraints: Sequence[Constraint], metrics: Mapping[str, Any], speedup: float | None) -> list[Found]:
    return [Found(constraint, constraint.value(metrics, speedup)) for constraint in constraints]


def broken(found: Sequence[Found]) -> list[Found]:
    return [each for each in found if not each.kept]
