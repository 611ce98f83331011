"""What MLflow shows as system metrics: the machine's processors, memory, disk, network and GPUs.

Read by MLflow's own monitors, so under its names, but between measurements: its own thread would read them, and talk
to the server, while something is timed. Shares of time are means since the last reading.
"""

from __future__ import annotations

from typing import Any

PREFIX = "system/"


class SystemMetrics:
    """`gpu` says why there are no numbers of GPUs; empty where there are."""

    def __init__(self) -> None:
        import psutil
        from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
        from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
        from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor

        gpus, self.gpu = _gpus()
        self._monitors: list[Any] = [CPUMonitor(), DiskMonitor(), NetworkMonitor(), *gpus]
        self._readings = 0
        psutil.cpu_percent()  # the first reading says nothing, the next ones the mean since then

    def read(self) -> list[list[Any]]:
        """[name, value, step]; the step counts readings."""
        found: list[list[Any]] = []
        for monitor in self._monitors:
            monitor.collect_metrics()
            found += [[PREFIX + name, float(value), self._readings] for name, value in _means(monitor).items()]
            monitor.clear_metrics()
        self._readings += 1
        return found


def _means(monitor: Any) -> dict[str, float]:
    return dict(monitor.aggregate_metrics())


def _gpus() -> tuple[list[Any], str]:
    """MLflow's monitor of NVIDIA's GPUs, and why there is none: without nvidia-ml-py, or without a GPU."""
    from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor

    try:
        return [GPUMonitor()], ""
    except (ImportError, RuntimeError) as error:
        return [], str(error)
