"""How many threads and which matrix product suit this model on this CPU: measured, not guessed."""

import time
from collections.abc import Callable
from statistics import median
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


def thread_counts(asked: int | str, device: torch.device) -> list[int]:
    """The counts to try: the one asked for, or powers of two up to the physical cores."""
    if isinstance(asked, int) and not isinstance(asked, bool) and asked >= 1:
        return [asked]
    if asked != "auto":
        raise ConfigError(f"num_threads={asked!r} is not allowed: 'auto' or a count >= 1")
    if device.type != "cpu":
        return [torch.get_num_threads()]
    cores = physical_cores()
    return sorted({1, cores, *(2**i for i in range(8) if 2**i <= cores)})


def fastest(choices: list[T], prepare: Callable[[T], Callable[[], None]], rounds: int = 7) -> T:
    """The choice whose call takes the least median time; the choices take turns, so a slow moment hits all."""
    if len(choices) == 1:
        return choices[0]
    times: dict[int, list[float]] = {i: [] for i in range(len(choices))}
    for turn in range(rounds + 1):
        for i, choice in enumerate(choices):
            call = prepare(choice)
            call()
            begin = time.perf_counter()
            call()
            if turn:
                times[i].append(time.perf_counter() - begin)
    return choices[min(times, key=lambda i: median(times[i]))]
