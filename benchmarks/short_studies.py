"""Many short studies in one process: composed, searched and confirmed as `python -m autotune` does, with one worker
for all of them. Loading the model fifty times would take longer than the measurements.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from rich.console import Console

from autotune import tune
from autotune.compose import resolve
from autotune.console.display import Display
from autotune.context import Context
from autotune.folder import RunFolder
from autotune.inputs import Inputs, check, worker_for
from autotune.overrides import CONF
from autotune.result import Result
from autotune.settings import Settings
from autotune.study.open import open_study
from autotune.trial import Trial
from autotune.worker.client import Worker


def settings_for(words: Sequence[str], search_path: Path | None = None) -> Settings:
    """The settings of a command line; `search_path` is a further folder of YAMLs."""
    more = [f"hydra.searchpath=[file://{search_path}]"] if search_path else []
    with initialize_config_dir(str(CONF), version_base="1.3"):
        plain: Any = OmegaConf.to_container(compose("config", overrides=[*words, *more]), resolve=True)
    plain.pop("experiment", None)
    return resolve(plain)


class SharedWorker:
    """One study's view of the worker of all: its prompts are the splits that carry its number."""

    def __init__(self, worker: Worker, study: int, opened: Any) -> None:
        self._worker, self._study, self._opened = worker, study, opened

    def open(self) -> Any:
        return self._opened

    def prepare(self, arms: Sequence[Any], split: str) -> list[str]:
        return self._worker.prepare(arms, f"{split}@{self._study}")

    def measure(self, unit: str, split: str, *rest: Any) -> Any:
        return self._worker.measure(unit, f"{split}@{self._study}", *rest)


class ShortStudies:
    """`words` are the command line of every study but for its seed; study i has workload.seed=i, so other prompts."""

    def __init__(self, words: Sequence[str], numbers: Sequence[int], folder: Path, conf: Path | None = None) -> None:
        self._folder = folder
        own = ["tracking=none", f"outputs={folder}"]
        self.settings = {i: settings_for([*words, *own, f"workload.seed={i}"], conf) for i in numbers}
        self.inputs: dict[int, Inputs] = {i: check(each, searching=True) for i, each in self.settings.items()}
        requests = {
            f"{split}@{i}": entries for i, each in self.inputs.items() for split, entries in each.requests.items()
        }
        first = numbers[0]
        self.worker = worker_for(self.settings[first], replace(self.inputs[first], requests=requests))
        self.opened = self.worker.open()

    def run(self, number: int) -> tuple[Result, list[Trial]]:
        """The study from its first trial to its confirmed result, and its trials."""
        worker: Any = SharedWorker(self.worker, number, self.opened)
        return run_study(self.settings[number], self.inputs[number], worker, self._folder / f"study-{number}")

    def close(self) -> None:
        self.worker.close()


def run_study(settings: Settings, inputs: Inputs, worker: Any, path: Path) -> tuple[Result, list[Trial]]:
    """One study in the folder `path`, whose last name is the study's, with a worker that is open; without a report."""
    named = replace(settings, study=replace(settings.study, name=path.name, resume="never"))
    folder = RunFolder(path)
    folder.write_text("config.yaml", "")
    context = Context("tune", named, folder, Display(Console(file=io.StringIO())), "")
    study = open_study(named, inputs.space, inputs.model, context.display.say)
    with contextlib.closing(study), mock.patch.object(tune, "leave"):  # nobody reads fifty reports
        return tune.Tuning(context, inputs, study, worker).run(), study.ledger.finished()
