"""A whole study in this process, on the engine without a model: what the commands do, without their start-up."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from rich.console import Console

from autotune.compose import resolve
from autotune.console.display import Display
from autotune.context import Context
from autotune.folder import RunFolder
from autotune.overrides import CONF
from autotune.robust.words import with_workloads
from autotune.settings import Settings
from autotune.worker.session import Session

FAKE = Path(__file__).with_name("conf") / "engine" / "fake.yaml"


def settings_of(*words: str, **engine: Any) -> Settings:
    """What the words mean, with the engine without a model; `engine` are options of it."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        composed = compose("config", overrides=with_workloads(["tracking=none", *words]))
    plain: Any = OmegaConf.to_container(composed, resolve=True)
    plain.pop("experiment", None)
    return resolve({**plain, "engine": {**OmegaConf.load(FAKE), **engine}})  # type: ignore[dict-item]


def context_of(settings: Settings, folder: Path, command: str = "tune") -> Context:
    run = RunFolder(folder)
    run.write_text("config.yaml", "model: {name: fake}\n")
    return Context(command, settings, run, Display(Console(quiet=True)), "python -m autotune")


class Here:
    """A worker that is no process."""

    def __init__(self, opening: Any) -> None:
        self._opening = opening
        self.units: list[str] = []

    def begin(self) -> None:
        self._session = Session(self._opening)
        self.prepare = self._session.prepare

    def open(self) -> Any:
        return self._session.opened

    def measure(self, unit: str, split: str, indices: Sequence[int], *rest: Any) -> Any:
        self.units.append(unit)
        return self._session.measure(unit, split, indices, *rest)

    def close(self) -> None:
        pass


def worker_here(settings: Settings, inputs: Any) -> Here:
    """In the place of `autotune.inputs.worker_for`."""
    from autotune.inputs import worker_for

    return Here(worker_for(settings, inputs)._opening)
