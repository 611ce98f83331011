"""The jobs of a multirun together: one parent in the tracking, one comparison at the end."""

from __future__ import annotations

import json
import sys
import uuid
from pathlib import Path
from typing import Any

from rich.console import Console

from autotune.measurement import named
from autotune.settings import Settings
from autotune.tracking.tracker import Tracker

WIDTH = 160


class Sweep:
    """`key` is the tracking key that the jobs' runs name as their parent."""

    def __init__(self, folder: Path, command_line: str) -> None:
        self.key = uuid.uuid4().hex
        self._folder, self._command_line = folder, command_line
        self._tracker: Tracker | None = None

    def join(self, settings: Settings) -> None:
        """The first job's tracking settings serve the sweep."""
        if self._tracker is None:
            spool = Path(settings.outputs) / "spool"
            self._tracker = Tracker(settings.tracking, spool, self.key, lambda text: print(text))
            self._tracker.begin(
                f"sweep {self._folder.name}",
                None,
                {},
                {"kind": "sweep", "command_line": self._command_line, "outputs": str(self._folder)},
            )

    def abandon(self) -> None:
        """The sweep was ended before its last job."""
        if self._tracker is not None:
            self._tracker.end("KILLED", {"status": "interrupted"})

    def close(self, rows: list[dict[str, Any]], command: str) -> dict[str, Any]:
        """Print and keep the comparison; the object of the last line."""
        from autotune.console.sweep import print_comparison
        from autotune.report.sweep.write import write_comparison

        print_comparison(Console(file=sys.stdout, width=None if sys.stdout.isatty() else WIDTH), rows)
        line = {"schema": 1, "command": f"{command} sweep", "outputs": str(self._folder), "jobs": rows}
        path = self._folder / "comparison.json"
        path.write_text(json.dumps(line, indent=2) + "\n", encoding="utf-8")
        page = write_comparison(self._folder)
        print(f"Report:  {page}")
        if self._tracker is not None:
            self._tracker.finish(_speedups(rows), {"status": "finished"}, [path, page])
        return line


def _speedups(rows: list[dict[str, Any]]) -> dict[str, float | None]:
    """The jobs' factors by the names of the tracking."""
    lines = {row["number"]: row["line"] for row in rows if row.get("line")}
    return {f"{named('speedup', line['output_law'])}.job_{n}": line["speedup"] for n, line in lines.items()}
