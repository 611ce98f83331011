"""Run the command line as a user does, on an engine without a model or on a small random one."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parents[2]
CONF = Path(__file__).with_name("conf")


@dataclass(frozen=True)
class Done:
    """What a command came to."""

    status: int
    out: str
    err: str
    outputs: Path

    @property
    def line(self) -> dict[str, Any]:
        return json.loads(self.out.strip().splitlines()[-1])

    @property
    def folder(self) -> Path:
        return PROJECT / self.line["outputs"]

    @property
    def trials(self) -> list[dict[str, Any]]:
        return [json.loads(text) for text in (self.folder / "trials.jsonl").read_text().splitlines()]


class Commands:
    """`python -m autotune ...` in the project's folder, with outputs and models of the test's own."""

    project = PROJECT

    def __init__(self, folder: Path) -> None:
        self.outputs = folder / "outputs"
        self.model = folder / "model"
        self.model.mkdir()
        (self.model / "config.json").write_text("{}")
        (self.model / "model.safetensors").write_bytes(b"")

    def words(self, *words: str, module: str = "autotune") -> list[str]:
        return [sys.executable, "-m", module, "--config-dir", str(CONF), f"outputs={self.outputs}", *words]

    def fake(self, *words: str) -> list[str]:
        """The words for the engine without a model, on few prompts and without tracking unless it is asked for."""
        tracking = () if any(word.startswith("tracking") for word in words) else ("tracking=none",)
        few = ("workload.num_prompts=8", "workload.num_confirm_prompts=8", "workload.max_tokens=40")
        return [f"model={self.model}", "engine=fake", *few, *tracking, *words]

    def run(self, *words: str, module: str = "autotune", timeout: float = 120) -> Done:
        done = subprocess.run(
            self.words(*words, module=module), cwd=PROJECT, capture_output=True, text=True, timeout=timeout, check=False
        )
        return Done(done.returncode, done.stdout, done.stderr, self.outputs)

    def tune(self, *words: str) -> Done:
        return self.run(*self.fake(*words))

    def bench(self, *words: str) -> Done:
        return self.run(*self.fake(*words), module="autotune.bench")


@pytest.fixture(scope="session")
def make_commands() -> type[Commands]:
    """For fixtures that outlive a test."""
    return Commands


@pytest.fixture
def commands(tmp_path: Path) -> Commands:
    return Commands(tmp_path)
