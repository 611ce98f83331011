"""Prompts of a workload for the training of heads: token ids by task, and the workload's own answers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

from autotune.errors import UsageError
from autotune.settings import WorkloadSettings
from autotune.worker.prompts import encode
from engine.training.answers import Answered, Prompt
from workloads import Request, WorkloadError, build


def requests(work: WorkloadSettings, split: str, number: int, seed: int) -> list[Request]:
    """`number` requests of one split; UsageError says what the workload cannot do."""
    try:
        return build(work.source, split=split, num_prompts=number, seed=seed, name=work.name, **work.options)
    except (WorkloadError, OSError) as error:
        raise UsageError(f"{error} (train.answers chooses splits and numbers)") from error


def prompts(found: Sequence[Request], tokenizer: Any, max_length: int) -> list[Prompt]:
    """Those that leave room for an answer; UsageError if none does."""
    encoded = [Prompt(encode(request, tokenizer), str(request.tags["task"])) for request in found]
    short = [prompt for prompt in encoded if len(prompt.ids) + 2 <= max_length]
    if not short:
        raise UsageError(
            f"every prompt is longer than train.recipe.max_length={max_length}; raise it or take another workload"
        )
    return short


def references(found: Sequence[Request], tokenizer: Any, max_length: int, eos: int | None) -> list[Answered]:
    """The workload's own answers, where it has them."""
    rows = []
    for request in found:
        if request.reference is None:
            continue
        answer = tokenizer.encode(request.reference, add_special_tokens=False) + ([] if eos is None else [eos])
        rows.append(Answered(encode(request, tokenizer), answer, str(request.tags["task"]), "reference"))
    return [row for row in rows if len(row.prompt) + 2 <= max_length]


def by_task(rows: Sequence[Answered]) -> dict[str, list[Answered]]:
    """In order of first appearance."""
    tasks = dict.fromkeys(row.task for row in rows)
    return {task: [row for row in rows if row.task == task] for task in tasks}


def joined(*groups: Sequence[Answered]) -> list[Answered]:
    return list(chain.from_iterable(groups))
