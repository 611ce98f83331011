"""The folder of one run: what is written when, so that a run that ends early leaves what it had."""

from __future__ import annotations

import itertools
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from autotune.arms import shown
from autotune.errors import UsageError
from autotune.final_counters import FinalCounters
from autotune.samples import UnitResult
from autotune.trial import Trial


class RunFolder:
    """A folder of its own: where the path was used by another run, a number is added. UsageError if it is not
    writable.
    """

    def __init__(self, path: Path) -> None:
        self.counters = FinalCounters()
        try:
            self.path = claim(path)
            self.trials.write_text("")
        except OSError as error:
            raise UsageError(
                f"cannot write to the run folder {str(path)!r} ({error.strerror}); choose another with outputs=FOLDER"
            ) from error

    @property
    def trials(self) -> Path:
        return self.path / "trials.jsonl"

    def remove_if_unused(self) -> None:
        """Leave nothing behind where nothing was measured."""
        if self.trials.read_text() == "" and not any((self.path / "samples").iterdir()):
            shutil.rmtree(self.path)

    def write_text(self, name: str, text: str) -> Path:
        """Whole or not at all."""
        target = self.path / name
        part = target.with_name(target.name + ".part")
        part.write_text(text, encoding="utf-8")
        os.replace(part, target)
        return target

    def write_json(self, name: str, value: Any) -> Path:
        return self.write_text(name, json.dumps(value, indent=2) + "\n")

    def write_samples(self, name: str, results: Sequence[UnitResult]) -> str:
        """One line per unit result; returns the file's path as it is recorded. The results enter the counters."""
        self.counters.add(results)
        lines = [json.dumps(result.to_json()) for result in results]
        return str(self.write_text(f"samples/{name}.jsonl", "".join(line + "\n" for line in lines)))

    def append_trial(self, trial: Trial) -> None:
        with self.trials.open("a", encoding="utf-8") as file:
            file.write(json.dumps(trial_line(trial)) + "\n")

    def artifacts(self) -> list[Path]:
        """Everything there is to keep, but for half-written files."""
        return sorted(path for path in self.path.rglob("*") if path.is_file() and path.suffix not in (".part", ".log"))


def claim(path: Path) -> Path:
    """The first of path, path-2, path-3 that no other run has taken; taking it is one step, so two runs cannot
    share.
    """
    for number in itertools.count(1):
        candidate = path if number == 1 else path.with_name(f"{path.name}-{number}")
        candidate.mkdir(parents=True, exist_ok=True)
        try:
            (candidate / "samples").mkdir()
        except FileExistsError:
            continue
        return candidate
    raise AssertionError("unreachable")


def trial_line(trial: Trial) -> dict[str, Any]:
    """A trial as the reader of trials.jsonl wants it: plain names, and the gains as factors per unit."""
    plain = trial.to_json()
    for bulk in ("own_gains", "evidence", "baseline_times", "effects"):
        del plain[bulk]
    gains: Mapping[str, list[float]] = plain.pop("gains")
    return {**plain, "parameters": shown(trial.parameters), "log_gains": gains}
