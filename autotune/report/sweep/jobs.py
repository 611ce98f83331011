"""The jobs of a multirun as comparison.json has them, with where each one's own page lies and why it has no number."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autotune.console import words
from autotune.errors import UsageError
from autotune.measurement import SYNTHETIC, TARGET

FILE = "comparison.json"


@dataclass(frozen=True)
class Job:
    """`given` are the words of the command line that the sweep set, by key. `line` is the job's result, None where it
    has failed; `reason` says why there is no number; `report` is relative to the sweep's folder.
    """

    number: int
    given: dict[str, str]
    line: dict[str, Any] | None
    reason: str
    report: str

    @property
    def speedup(self) -> float | None:
        return (self.line or {}).get("speedup")

    @property
    def law(self) -> str:
        return (self.line or {}).get("output_law", TARGET)

    @property
    def interval(self) -> list[float] | None:
        return (self.line or {}).get("speedup_ci")

    @property
    def confirmed(self) -> bool:
        return bool((self.line or {}).get("confirmed"))

    @property
    def place(self) -> tuple[bool, float]:
        """Best first, and what assumes its acceptance after all that is real."""
        return self.law == SYNTHETIC, -(self.speedup or 0.0)

    @property
    def number_words(self) -> str:
        return words.labelled(self.speedup, self.law)


@dataclass(frozen=True)
class Sweep:
    """A multirun that has ended. `command` is "tune sweep" or "bench sweep"."""

    folder: Path
    command: str
    jobs: list[Job]


def read(folder: Path) -> Sweep:
    """UsageError for a file that is damaged."""
    try:
        line = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise UsageError(f"{str(folder / FILE)!r} is damaged ({error}); repeat the sweep") from error
    return Sweep(folder, line["command"], [_job(folder, row) for row in line["jobs"]])


def folders(sweep: Sweep) -> list[Path]:
    """Those of the jobs that have left a result."""
    return [sweep.folder / Path(job.report).parent for job in sweep.jobs if job.report]


def _job(folder: Path, row: dict[str, Any]) -> Job:
    line = row.get("line")
    own = Path(line["outputs"]).name if line else ""
    there = bool(own) and (folder / own / "best.json").is_file()
    reason = "" if (line or {}).get("speedup") is not None else row.get("error") or _why(folder / own, there)
    return Job(row["number"], _given(row["overrides"]), line, reason, f"{own}/report.html" if there else "")


def _given(overrides: list[str]) -> dict[str, str]:
    pairs = (word.lstrip("+").partition("=") for word in overrides)
    return {key: value for key, _, value in pairs}


def _why(folder: Path, there: bool) -> str:
    """Of a job that ended without a number, its last note: why there is none."""
    notes = json.loads((folder / "best.json").read_text(encoding="utf-8"))["details"]["notes"] if there else []
    return notes[-1] if notes else "failed"
