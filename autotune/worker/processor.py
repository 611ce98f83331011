"""What the system took from this process during a run: time it was ready to work and waited for a core."""

from __future__ import annotations

from pathlib import Path

SCHEDULER = Path("/proc/thread-self/schedstat")


def waited_for_core(source: Path = SCHEDULER) -> float | None:
    """Seconds so far that this thread was runnable and another ran in its place; None where the system does not tell.

    The second of three numbers of Linux's schedstat, in nanoseconds.
    """
    try:
        return int(source.read_text(encoding="ascii").split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return None


def since(before: float | None, source: Path = SCHEDULER) -> float | None:
    now = waited_for_core(source)
    return None if before is None or now is None else now - before
