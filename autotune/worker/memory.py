"""The highest memory use between two moments: of the GPU's allocator where one is used, else of this process.

Linux forgets a process's peak when asked (proc(5), clear_refs, 5); where it may not be asked, and on other systems, the
peak is that since the process began.
"""

from __future__ import annotations

import contextlib
import resource
import sys
from pathlib import Path
from typing import Any

import psutil

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
FORGET_PEAK = "5"


def reset_peak() -> None:
    if (cuda := _cuda()) is not None:
        cuda.reset_peak_memory_stats()
    with contextlib.suppress(OSError):
        CLEAR.write_text(FORGET_PEAK)


def peak() -> int:
    """Bytes."""
    if (cuda := _cuda()) is not None:
        return int(cuda.max_memory_allocated())
    with contextlib.suppress(OSError):
        for line in STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return 1024 * int(line.split()[1])
    highest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return highest if sys.platform == "darwin" else 1024 * highest


def now() -> int:
    """Bytes, as `peak` counts them."""
    if (cuda := _cuda()) is not None:
        return int(cuda.memory_allocated())
    return int(psutil.Process().memory_info().rss)


def _cuda() -> Any:
    """torch.cuda where this process has memory there; torch is never imported for this."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return None
    return torch.cuda
