"""Which watch a device gets, and what the result says where it gets none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autotune.trust.gpu import GpuWatch, NvmlReader
from autotune.trust.guard import NoWatch, Watch

NOT_WATCHED = "the GPU is not watched"


def watch_of(environment: Mapping[str, Any]) -> tuple[Watch, str]:
    """The watch and its description, for an engine that is loaded."""
    device = str(environment.get("device", ""))
    if not device.startswith("cuda"):
        return NoWatch(), "the baseline's own time and the share of time in which no core was free"
    try:
        watch = GpuWatch(NvmlReader(device))
        watch.begin()
    except ImportError:
        return NoWatch(), f"{NOT_WATCHED}: nvidia-ml-py is not installed (pip install nvidia-ml-py)"
    except RuntimeError as error:
        return NoWatch(), f"{NOT_WATCHED}: {error}"
    return watch, "the GPU's processes, clocks and memory, and the baseline's own time"
