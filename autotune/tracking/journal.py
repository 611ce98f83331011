"""The spool file of one run: a line per event, and how far it has been sent. Survives being killed at any point.

The first line says where the events belong. Events name runs by keys of our own; the sender finds or makes the
MLflow runs.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Event = dict[str, Any]


class Journal:
    """Append-only. Opening an existing file goes on with it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._mark = path.with_suffix(".sent")

    @classmethod
    def begin(cls, spool: Path, key: str, uri: str, experiment: str) -> Journal:
        spool.mkdir(parents=True, exist_ok=True)
        journal = cls(spool / f"{key}.jsonl")
        if not journal.path.exists():
            journal.append({"do": "target", "uri": uri, "experiment": experiment})
        return journal

    def append(self, event: Event) -> None:
        """Add an event, stamped with the time in milliseconds where it brings none."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"time": int(time.time() * 1000), **event}) + "\n")

    @property
    def target(self) -> Event:
        return next(iter(self._events()))

    @property
    def sent(self) -> int:
        """Events that have been sent, the first line counted."""
        try:
            return int(self._mark.read_text())
        except (OSError, ValueError):
            return 1

    def unsent(self) -> Iterator[tuple[int, Event]]:
        """The events that wait, each with the value that `mark` takes once it is sent."""
        for number, event in enumerate(self._events(), start=1):
            if number > self.sent:
                yield number, event

    def mark(self, number: int) -> None:
        self._mark.write_text(str(number))

    @property
    def is_ended(self) -> bool:
        """Whether the run behind it was ended on purpose, so that nothing more will come."""
        events = list(self._events())
        return bool(events) and events[-1]["do"] == "end" and events[-1]["key"] == self.path.stem

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
        self._mark.unlink(missing_ok=True)

    def _events(self) -> Iterator[Event]:
        """All complete lines; a line cut short by a kill is left out."""
        if not self.path.exists():
            return
        for line in self.path.read_text(encoding="utf-8").splitlines():
            try:
                yield json.loads(line)
            except json.JSONDecodeError:
                continue
