"""What MLflow shows as system metrics, under the names of its own monitors: processors, memory, disk, network, GPUs.

Read between measurements: MLflow's thread would read them, and talk to the server, while something is timed. Shares of
time are means since the last reading.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psutil

PREFIX = "system/"
MEGA = 1e6


class SystemMetrics:
    """`gpus` says how many GPUs are read, or why none."""

    def __init__(self) -> None:
        self._nvml, self._handles, self.gpus = _nvml()
        self._network = psutil.net_io_counters()
        self._readings = 0
        psutil.cpu_percent()  # the first reading says nothing, the next ones the mean since then

    def read(self) -> list[list[Any]]:
        """[name, value, step]; the step counts readings."""
        found = [[PREFIX + name, round(value, 1), self._readings] for name, value in (*self._host(), *self._devices())]
        self._readings += 1
        return found

    def _host(self) -> Iterator[tuple[str, float]]:
        memory, disk, network = psutil.virtual_memory(), psutil.disk_usage("/"), psutil.net_io_counters()
        yield "cpu_utilization_percentage", psutil.cpu_percent()
        yield "system_memory_usage_megabytes", memory.used / MEGA
        yield "system_memory_usage_percentage", 100 * memory.used / memory.total
        yield "disk_usage_percentage", disk.percent
        yield "disk_available_megabytes", disk.free / MEGA
        if network is not None and self._network is not None:
            yield "network_receive_megabytes", (network.bytes_recv - self._network.bytes_recv) / MEGA
            yield "network_transmit_megabytes", (network.bytes_sent - self._network.bytes_sent) / MEGA

    def _devices(self) -> Iterator[tuple[str, float]]:
        """What a device does not tell is left out."""
        for i, handle in enumerate(self._handles):
            for names, ask in (
                (("memory_usage_percentage", "memory_usage_megabytes"), self._memory),
                (("utilization_percentage",), self._busy),
                (("power_usage_watts",), self._power),
            ):
                try:
                    values = ask(handle)
                except self._nvml.NVMLError:
                    continue
                yield from ((f"gpu_{i}_{name}", value) for name, value in zip(names, values, strict=True))

    def _memory(self, handle: Any) -> tuple[float, ...]:
        memory = self._nvml.nvmlDeviceGetMemoryInfo(handle)
        return 100 * memory.used / memory.total, memory.used / MEGA

    def _busy(self, handle: Any) -> tuple[float, ...]:
        return (self._nvml.nvmlDeviceGetUtilizationRates(handle).gpu,)

    def _power(self, handle: Any) -> tuple[float, ...]:
        return (self._nvml.nvmlDeviceGetPowerUsage(handle) / 1000,)


def _nvml() -> tuple[Any, list[Any], str]:
    """NVIDIA's library, a handle a GPU, and what is said of them."""
    try:
        import pynvml
    except ImportError:
        return None, [], "not recorded: nvidia-ml-py is not installed"
    try:
        pynvml.nvmlInit()
        handles = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
    except pynvml.NVMLError as error:
        return None, [], f"not recorded: {error}"
    return pynvml, handles, f"{len(handles)} recorded"
