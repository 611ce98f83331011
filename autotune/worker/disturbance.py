"""Was a measured run interrupted from outside? A step that took many times the usual one says so.

On a shared machine another process, or the hypervisor, now and then takes the core for milliseconds. Such a run says
nothing about either arm: it is thrown away and measured again, and the result counts how often.
"""

from __future__ import annotations

from statistics import median

from autotune.samples import ArmRun

STALL_FACTOR = 10.0
STALL_SECONDS = 0.005  # shorter ones are lost in an answer of fifty tokens
MOST_DISCARDED = 2


def disturbed(run: ArmRun) -> bool:
    """Whether a gap between deliveries is far beyond the run's usual gap (its median)."""
    gaps = [gap for request in run.requests for gap in request.gaps]
    return bool(gaps) and max(gaps) - median(gaps) > max(STALL_SECONDS, (STALL_FACTOR - 1) * median(gaps))
