"""What a GPU has drawn: the driver's own counter, where there is one. It is the whole device's, whoever uses it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache

Counter = Callable[[], float]


def spent() -> float | None:
    """Joules since the driver was loaded; None without a GPU in use, its management library, or such a counter."""
    torch = sys.modules.get("torch")  # never imported for this
    if torch is None or not torch.cuda.is_initialized():
        return None
    torch.cuda.synchronize()
    counter = _counter(f"cuda:{torch.cuda.current_device()}")
    return None if counter is None else counter()


def since(before: float | None) -> float | None:
    """Joules since then."""
    now = spent() if before is not None else None
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
