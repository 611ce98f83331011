"""How requests arrive. Closed loops: `single`, one at a time, and `closed_loop`, a fixed number always in flight. Open
loops, where requests come whether or not earlier ones are done: `poisson`, `trace`, `ramp` and `steps`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

from workloads import arrivals
from workloads.errors import WorkloadError
from workloads.trace import read_trace

CLOSED = ("single", "closed_loop")
DRAWN = ("burstiness", "seed")
# What each kind is described by, and reads.
KINDS: dict[str, tuple[str, ...]] = {
    "single": ("concurrency",),
    "closed_loop": ("concurrency",),
    "poisson": ("rate", *DRAWN),
    "trace": ("path", "speed"),
    "ramp": ("rate_start", "rate_end", *DRAWN),
    "steps": ("rates", *DRAWN),
}


@dataclass(frozen=True)
class Load:
    """WorkloadError for a kind or a value that is not served, and for a field that the kind does not read.

    concurrency             requests in flight, of closed loops; 1 where it is left out
    rate                    requests a second; `rate_start` and `rate_end` at both ends of a ramp, `rates` of the steps
    burstiness, seed        of the gaps between arrivals: gamma with this shape, 1 is Poisson
    path, speed             of a trace, played `speed` times as fast
    """

    kind: str = "single"
    concurrency: int | None = None
    rate: float | None = None
    burstiness: float | None = None
    seed: int | None = None
    path: str | None = None
    speed: float | None = None
    rate_start: float | None = None
    rate_end: float | None = None
    rates: Sequence[float] | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise WorkloadError(f"unknown load {self.kind!r}; allowed: {', '.join(KINDS)}")
        for name in (each.name for each in fields(self)[1:]):
            if name not in KINDS[self.kind] and getattr(self, name) is not None:
                raise WorkloadError(
                    f"load.{name} has no effect with load={self.kind}; allowed: {', '.join(KINDS[self.kind])}"
                )
        self._check_numbers()
        if self.kind == "single" and self.concurrency not in (None, 1):
            raise WorkloadError(f"load=single serves one request at a time, not {self.concurrency}; use closed_loop")

    @property
    def is_open(self) -> bool:
        """Whether requests come at times of their own."""
        return self.kind not in CLOSED

    @property
    def described(self) -> dict[str, Any]:
        """What the kind reads, with the values that hold."""
        defaults = {"concurrency": 1, "burstiness": 1.0, "seed": 0, "speed": 1.0}
        values = {name: getattr(self, name) for name in KINDS[self.kind]}
        return {name: defaults.get(name) if value is None else value for name, value in values.items()}

    def check(self) -> None:
        """Read what must be read; WorkloadError where it cannot be."""
        if self.kind == "trace":
            assert self._trace

    def arrivals(self, count: int, window: int) -> tuple[float, ...]:
        """Of `count` requests, in seconds from the start of the window, ascending; none where the loop is closed.

        The same for the same count and window, whoever asks; another window has other arrivals.
        """
        if not self.is_open:
            return ()
        if self.kind == "trace":
            return arrivals.stretch(self._trace, count, window, self.speed or 1.0)
        unit = arrivals.unit_times(count, self.burstiness or 1.0, f"arrivals/{self.seed or 0}/{window}")
        if self.kind == "ramp":
            return arrivals.ramp(unit, self.rate_start or 0.0, self.rate_end or 0.0)
        return (
            arrivals.steps(unit, self.rates or ()) if self.kind == "steps" else arrivals.constant(unit, self.rate or 0)
        )

    @cached_property
    def _trace(self) -> tuple[float, ...]:
        return read_trace(self.path)

    def _check_numbers(self) -> None:
        """Every number is one, and above 0; a rate may be 0 where another one is not."""
        whole = {"concurrency": 1, "seed": 0}
        for name, low in whole.items():
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < low):
                raise WorkloadError(f"load.{name} is {value!r}; it must be a whole number of at least {low}")
        for name in ("rate", "burstiness", "speed"):
            self._check_positive(name, required=name == "rate")
        if self.kind == "ramp":
            self._check_rates("load.rate_start and load.rate_end are", (self.rate_start, self.rate_end))
        if self.kind == "steps":
            self._check_rates("load.rates is", self.rates)

    def _check_positive(self, name: str, required: bool) -> None:
        value = getattr(self, name)
        if (value is not None or (required and name in KINDS[self.kind])) and not (_number(value) and value > 0):
            raise WorkloadError(f"load.{name} is {value!r}; it must be a number above 0")

    def _check_rates(self, what: str, rates: object) -> None:
        known = isinstance(rates, Sequence) and not isinstance(rates, str) and all(_number(rate) for rate in rates)
        if not known or min(rates, default=-1) < 0 or sum(rates) <= 0:  # type: ignore[call-overload]
            shown = list(rates) if isinstance(rates, Sequence) and not isinstance(rates, str) else rates
            raise WorkloadError(f"{what} {shown!r}; they must be requests a second, none below 0 and one above it")


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
