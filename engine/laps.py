"""Where the time of steps goes: the host's clock, or on a GPU events between the passes, which run by themselves."""

import time
from typing import Literal, Protocol

import torch

Part = Literal["draft", "target", "verify"]
PARTS: tuple[Part, ...] = ("draft", "target", "verify")
clock = time.perf_counter


class Laps(Protocol):
    """begin, then lap after lap: each ends where the next begins."""

    def begin(self) -> None: ...
    def lap(self, part: Part) -> None: ...
    def settle(self) -> dict[Part, float]:
        """Seconds by part since the last time, of what is known by now."""


class HostLaps:
    """For work that is done when its call returns."""

    def __init__(self) -> None:
        self._seconds: dict[Part, float] = {}
        self._last = 0.0

    def begin(self) -> None:
        self._last = clock()

    def lap(self, part: Part) -> None:
        now = clock()
        self._seconds[part] = self._seconds.get(part, 0.0) + now - self._last
        self._last = now

    def settle(self) -> dict[Part, float]:
        found, self._seconds = self._seconds, {}
        return found


class DeviceLaps:
    """For work that a GPU is given: what it has not finished is settled with a later step."""

    def __init__(self) -> None:
        self._open: list[tuple[Part, torch.cuda.Event, torch.cuda.Event]] = []
        self._last = _mark()

    def begin(self) -> None:
        self._last = _mark()

    def lap(self, part: Part) -> None:
        now = _mark()
        self._open.append((part, self._last, now))
        self._last = now

    def settle(self) -> dict[Part, float]:
        found: dict[Part, float] = {}
        while self._open and self._open[0][2].query():
            part, begin, end = self._open.pop(0)
            found[part] = found.get(part, 0.0) + begin.elapsed_time(end) / 1e3
        return found


def laps_for(device: torch.device) -> Laps:
    return DeviceLaps() if device.type == "cuda" else HostLaps()


def _mark() -> torch.cuda.Event:
    event = torch.cuda.Event(enable_timing=True)
    event.record()
    return event
