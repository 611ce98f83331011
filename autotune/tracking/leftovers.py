"""Send what earlier runs had to leave in the spool."""

from __future__ import annotations

from pathlib import Path

from autotune.tracking.journal import Journal
from autotune.tracking.sender import Sender, Unreachable


def waiting(spool: Path, besides: str | None = None) -> list[Journal]:
    """Journals of runs that have ended; one that is still being written is its own run's business."""
    journals = [Journal(path) for path in sorted(spool.glob("*.jsonl")) if path.stem != besides]
    return [journal for journal in journals if journal.is_ended]


def send_leftovers(spool: Path, timeout: float, besides: str | None = None) -> int:
    """How many journals were sent whole. One whose server still does not answer stays."""
    sent = 0
    for journal in waiting(spool, besides):
        try:
            target = journal.target
            Sender(target["uri"], target["experiment"], timeout).send(journal)
        except Unreachable:
            continue
        journal.remove()
        sent += 1
    return sent
