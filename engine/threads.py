"""How many threads and which matrix product suit this model on this CPU: measured, not guessed."""

import math
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

import psutil
import torch

from engine.errors import ConfigError

T = TypeVar("T")


def physical_cores() -> int:
    allowed = (
        len(psutil.Process().cpu_affinity()) if hasattr(psutil.Process, "cpu_affinity") else psutil.cpu_count() or 1
    )
    return max(1, min(allowed, psutil.cpu_count(logical=False) or allowed))


def thread_counts(asked: int | str, device: torch.device, processes: int = 1) -> list[int]:
    """The counts to try: the one asked for, or powers of two up to the physical cores that each process can have."""
    if isinstance(asked, int) and not isinstance(asked, bool) and asked >= 1:
        return [asked]
    if asked != "auto":
        raise ConfigError(f"num_threads={asked!r} is not allowed: 'auto' or a count >= 1")
    if device.type != "cpu":
        return [torch.get_num_threads()]
    cores = max(1, physical_cores() // processes)
    return sorted({1, cores, *(2**i for i in range(8) if 2**i <= cores)})


def quickest_times(
    calls: Mapping[T, Callable[[], None]], hopeless: float = math.inf, rounds: int = 25
) -> dict[T, float]:
    """Seconds of every call at its quickest; the calls take turns, so that a slow moment of the machine hits all.

    A second round is made only if the first has a call below `hopeless` seconds.
    """
    times: dict[T, float] = dict.fromkeys(calls, math.inf)
    for _ in range(rounds):
        if times and hopeless < min(times.values()) < math.inf:
            break
        for name, call in calls.items():
            begin = time.perf_counter()
            call()
            times[name] = min(times[name], time.perf_counter() - begin)
    return times
