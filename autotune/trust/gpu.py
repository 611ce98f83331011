"""What happens to a GPU besides the measurement: other processes, throttled clocks, memory that stays taken.

Read between measured windows from NVIDIA's management library. The checks know a `Reader` only, so that they run
without a device.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from autotune.status import Cause
from autotune.trust.doubt import Doubt

THROTTLES = {0x8: "hardware slowdown", 0x20: "software thermal slowdown", 0x40: "hardware thermal slowdown",
             0x80: "hardware power brake"}  # fmt: skip
"""Bits of the clocks' event reasons that mean a device that cannot do what it usually does. A software power cap (0x4)
is how many devices always run, so it is none of them."""
THROTTLED_SHARE = 0.1
MEMORY_SLACK = 256 * 2**20


@dataclass(frozen=True)
class Reading:
    """`processes` are bytes by process id, None where the driver does not tell them; `throttle` is a bit mask."""

    processes: Mapping[int, int | None]
    memory_used: int
    throttle: int


class Reader(Protocol):
    def read(self) -> Reading: ...


class NvmlReader:
    """One device through nvidia-ml-py. ImportError where that is not installed, RuntimeError without a driver."""

    def __init__(self, device: str) -> None:
        self._nvml, self._device = open_device(device)

    def read(self) -> Reading:
        nvml, device = self._nvml, self._device
        processes = {entry.pid: entry.usedGpuMemory for entry in nvml.nvmlDeviceGetComputeRunningProcesses(device)}
        used = int(nvml.nvmlDeviceGetMemoryInfo(device).used)
        return Reading(processes, used, int(nvml.nvmlDeviceGetCurrentClocksThrottleReasons(device)))


def open_device(device: str) -> tuple[Any, Any]:
    """The management library, and its handle of "cuda" or "cuda:1". ImportError where nvidia-ml-py is not installed,
    RuntimeError without a driver.
    """
    import pynvml

    name = nvml_name(device, os.environ.get("CUDA_VISIBLE_DEVICES"))
    try:
        pynvml.nvmlInit()
        by = pynvml.nvmlDeviceGetHandleByIndex if isinstance(name, int) else pynvml.nvmlDeviceGetHandleByUUID
        return pynvml, by(name)
    except pynvml.NVMLError as error:
        raise RuntimeError(str(error)) from error


def nvml_name(device: str, visible: str | None) -> int | str:
    """The management library's index or UUID of "cuda" or "cuda:1"; it does not know CUDA_VISIBLE_DEVICES."""
    index = int(device.partition(":")[2] or 0)
    names = [name.strip() for name in (visible or "").split(",") if name.strip()]
    if index >= len(names):
        return index
    return int(names[index]) if names[index].isdigit() else names[index]


@dataclass
class GpuWatch:
    """Looks at the device while a trial runs. `standing` are the processes that were there all along: ours, and others
    whose load is the machine's usual state.
    """

    reader: Reader
    standing: set[int] = field(default_factory=set)
    level: int | None = None
    looks: list[Reading] = field(default_factory=list)

    def begin(self) -> None:
        """The study begins, and our own process is on the device."""
        first = self.reader.read()
        self.standing = set(first.processes)
        self.level = others_memory(first, self.standing)

    def look(self) -> None:
        self.looks.append(self.reader.read())

    def doubt(self, ours: Sequence[int]) -> Doubt | None:
        """What the looks since the last call say of the trial. What stays is the machine's new state: the next trial
        is compared with it.
        """
        looks, self.looks = self.looks, []
        self.standing |= set(ours)
        found = foreign(looks, self.standing) or throttled(looks) or memory_held(looks, self.standing, self.level)
        if looks and found:
            self.level = others_memory(looks[-1], self.standing)
            self.standing |= set(looks[-1].processes)
        return found


def foreign(looks: Sequence[Reading], standing: set[int]) -> Doubt | None:
    new = sorted({pid for look in looks for pid in look.processes} - standing)
    if not new:
        return None
    text = ", ".join(map(str, new[:3]))
    return Doubt(Cause.FOREIGN, f"another process used the GPU meanwhile (process {text})")


def throttled(looks: Sequence[Reading]) -> Doubt | None:
    slow = [look.throttle for look in looks if look.throttle & sum(THROTTLES)]
    if len(slow) <= THROTTLED_SHARE * len(looks):
        return None
    reasons = sorted({name for mask in slow for bit, name in THROTTLES.items() if mask & bit})
    return Doubt(Cause.THROTTLED, f"the GPU was throttled in {len(slow)} of {len(looks)} looks: {', '.join(reasons)}")


def memory_held(looks: Sequence[Reading], standing: set[int], level: int | None) -> Doubt | None:
    """Memory that none of the known processes has, beyond what it was at first."""
    now = others_memory(looks[-1], standing) if looks else None
    if now is None or level is None or now - level <= MEMORY_SLACK:
        return None
    return Doubt(
        Cause.MEMORY_HELD, f"{(now - level) / 2**20:.0f} MiB of the GPU's memory did not return to their level"
    )


def others_memory(look: Reading, ours: set[int]) -> int | None:
    """Bytes on the device that are not ours; None where the driver does not say whose they are."""
    known = [size for pid, size in look.processes.items() if pid in ours]
    return None if None in known else look.memory_used - sum(size for size in known if size is not None)
