"""What GPUs have drawn: the driver's own counters, where there are any. They are whole devices', whoever uses them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache

Counter = Callable[[], float]


def spent(num_devices: int = 1) -> float | None:
    """Joules of the engine's GPUs, this process's and those after it, since the driver was loaded.

    None without a GPU in use, its management library, or such a counter.
    """
    torch = sys.modules.get("torch")  # never imported for this
    if torch is None or not torch.cuda.is_initialized():
        return None
    torch.cuda.synchronize()
    first = torch.cuda.current_device()
    found = [_counter(f"cuda:{first + i}") for i in range(num_devices)]
    counters = [counter for counter in found if counter is not None]
    return sum(counter() for counter in counters) if len(counters) == num_devices else None


def since(before: float | None, num_devices: int = 1) -> float | None:
    """Joules since then."""
    now = spent(num_devices) if before is not None else None
    return None if now is None or before is None else now - before


@cache
def _counter(device: str) -> Counter | None:
    from autotune.trust.gpu import open_device

    try:
        nvml, handle = open_device(device)
    except (ImportError, RuntimeError):
        return None
    try:
        nvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    except nvml.NVMLError:  # older than Volta
        return None
    return lambda: nvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3
