"""Read back what a run left. The report is made from these files alone, so it can be made again at any time."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autotune.errors import UsageError
from autotune.measurement import MEASURED, TARGET, Measurement, measurement


@dataclass(frozen=True)
class Run:
    """The files of a run, parsed. `config` is the YAML as text."""

    folder: Path
    best: dict[str, Any]
    trials: list[dict[str, Any]]
    config: str

    @property
    def details(self) -> dict[str, Any]:
        return self.best["details"]

    @property
    def measurement(self) -> Measurement:
        best = self.best
        return measurement(
            best.get("measurement", MEASURED.kind), self.details.get("objective", ""), best.get("output_law", TARGET)
        )

    @property
    def measured(self) -> list[dict[str, Any]]:
        """The trials that have a number, in their order."""
        return sorted((t for t in self.trials if t["speedup"] is not None), key=lambda trial: trial["number"])

    @property
    def interval(self) -> list[float] | None:
        return self.best["speedup_ci"]


def read(folder: Path) -> Run:
    """UsageError for a folder that no run has finished."""
    if not folder.is_dir():
        raise UsageError(f"{str(folder)!r} is no folder; give the folder of a run, such as outputs/2026-01-31/12-00-00")
    missing = [name for name in ("best.json", "trials.jsonl", "config.yaml") if not (folder / name).is_file()]
    if missing:
        raise UsageError(f"{str(folder)!r} has no {' and no '.join(missing)}; only a run that has ended has a report")
    try:
        best = json.loads((folder / "best.json").read_text(encoding="utf-8"))
        trials = [json.loads(line) for line in (folder / "trials.jsonl").read_text(encoding="utf-8").splitlines()]
    except json.JSONDecodeError as error:
        raise UsageError(f"a file in {str(folder)!r} is damaged ({error}); repeat the run") from error
    return Run(folder, best, trials, (folder / "config.yaml").read_text(encoding="utf-8"))
