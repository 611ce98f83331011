"""What crosses the pipe between the study and its worker, and what can go wrong on the way. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from workloads import Request


class Reply(StrEnum):
    """How a call ended, decided in the worker at the place where it ended."""

    OK = "ok"
    REFUSED = "refused"
    OUT_OF_MEMORY = "out of memory"
    CRASHED = "crashed"


@dataclass(frozen=True)
class Opening:
    """What a worker needs to start: which engine, which model, which prompts by split."""

    loader: str
    model_path: str
    engine_options: Mapping[str, Any]
    concurrency: int
    seed: int
    requests: Mapping[str, Sequence[Request]]


@dataclass(frozen=True)
class Opened:
    """What a worker tells once the weights are there. `prompt_tokens` counts tokens by split, in the order of
    requests.
    """

    environment: Mapping[str, Any]
    prompt_tokens: Mapping[str, Sequence[int]]


class WorkerProblem(Exception):
    """A call that gave no answer; the study decides what that means for the trial."""


class Refused(WorkerProblem):
    """The engine says that what was asked for cannot be."""


class OutOfMemory(WorkerProblem):
    """Legal, but it does not fit."""


class Crashed(WorkerProblem):
    """An error inside the worker, or its death."""


class Hung(WorkerProblem):
    """No answer within the limit; the worker was ended."""
