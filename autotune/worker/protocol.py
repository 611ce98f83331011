"""What crosses the pipe between the study and its worker, and what can go wrong on the way. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from autotune.slo import Slo
from workloads import Request

WARM = "warm"  # the requests that fill a method's cache and are never measured


def split_at(split: str, context: int | None) -> str:
    """The name of a split's prompts at a context's length; its own where they are as they come."""
    return split if context is None else f"{split}@{context}"


RUNS_A_VISIT = 2  # of every arm: there and back


class Reply(StrEnum):
    """How a call ended, decided in the worker at the place where it ended."""

    OK = "ok"
    REFUSED = "refused"
    OUT_OF_MEMORY = "out of memory"
    CRASHED = "crashed"


@dataclass(frozen=True)
class Opening:
    """What a worker needs to start: which engine, which model, which prompts by split, WARM for those that only fill
    what a method remembers. `concurrency` requests run at once at most. `drafts` are folders by what speculative
    configs call their drafts. `weighs`: memory decides something, so an arm is not charged with drafts of others.
    `contexts` are lengths in tokens that the prompts are brought to besides.
    """

    loader: str
    model_path: str
    engine_options: Mapping[str, Any]
    concurrency: int
    seed: int
    requests: Mapping[str, Sequence[Request]]
    drafts: Mapping[str, str]
    slo: Slo = field(default_factory=Slo)
    weighs: bool = False
    contexts: tuple[int, ...] = ()


@dataclass(frozen=True)
class Recording:
    """What a worker needs to replay: `requests` by split carry their responses, `step_costs` is a file or None."""

    loader: str
    path: str
    tokenizer: str | None
    step_costs: str | None
    requests: Mapping[str, Sequence[Request]]


@dataclass(frozen=True)
class Opened:
    """What a worker tells once it is ready. `prompt_tokens` counts tokens by split, in the order of
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
