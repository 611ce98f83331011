"""One process a study: a lock on a file beside its database. The system releases it even after `kill -9`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from autotune.errors import UsageError


class StudyLock:
    """Held from creation to `release`; UsageError where another process holds it."""

    def __init__(self, database: Path, study: str) -> None:
        self._file: IO[str] = database.with_suffix(database.suffix + ".lock").open("a")
        try:
            _lock(self._file)
        except OSError:
            self._file.close()
            raise UsageError(
                f"study {study} is being run by another process, and SQLite serves one at a time; wait for it, give "
                "this one a study.name of its own, or let both share a study.storage=postgresql://..."
            ) from None

    def release(self) -> None:
        self._file.close()


@contextmanager
def kept_unless_raised(lock: StudyLock | None) -> Iterator[None]:
    """Release the lock of a study that could not be opened after all: its error may be held on to."""
    try:
        yield
    except BaseException:
        if lock is not None:
            lock.release()
        raise


def _lock(file: IO[str]) -> None:
    """Exclusive, without waiting; raises OSError where it is taken. Systems without fcntl go unlocked."""
    try:
        import fcntl
    except ImportError:
        return
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
