"""What a run is given besides its settings."""

from __future__ import annotations

from dataclasses import dataclass

from autotune.console.display import Display
from autotune.folder import RunFolder
from autotune.settings import Settings


@dataclass(frozen=True)
class Context:
    """`command_line` is what to type to get this run again; `sweep_key` the tracking key of the sweep it belongs to."""

    command: str
    settings: Settings
    folder: RunFolder
    display: Display
    command_line: str
    sweep_key: str | None = None
