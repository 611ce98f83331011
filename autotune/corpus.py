"""The training corpus of the embedded model: documents drawn from the train split of the workloads."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from itertools import count, islice

from autotune import practice
from workloads.build import examples
from workloads.registry import find
from workloads.request import Example

Document = list[tuple[str, str]]
PRACTICE = "practice"
PROMPT_WEIGHTS = {"code": 1.0, PRACTICE: 0.0}  # code is worth learning in the prompt too, a random list is not


def document(example: Example) -> Document:
    """The conversation with its answer, as (role, text) pairs."""
    if isinstance(example.prompt, str) or example.reference is None:
        raise ValueError("only conversations with an answer can be trained on")
    turns = [(message.role, message.content) for message in example.prompt]  # type: ignore[union-attr]
    return [*turns, ("assistant", example.reference)]


def endless(task: str) -> Iterator[Example]:
    """The task's training examples; a finite source starts again with another order and other cuts."""
    if task == PRACTICE:
        yield from practice.examples("train", seed=0)
    for turn in count():
        yield from find(task).examples("train", turn, {})


def documents(mixture: Mapping[str, float], joined: float, seed: int) -> Iterator[tuple[str, Document]]:
    """(task, document) without end; the same arguments give the same sequence."""
    draw = random.Random(f"corpus/{seed}")
    streams = {task: endless(task) for task in mixture}
    tasks, weights = list(mixture), list(mixture.values())
    while True:
        task = draw.choices(tasks, weights)[0]
        found = document(next(streams[task]))
        if draw.random() < joined:
            other = draw.choices(tasks, weights)[0]
            found = found + [turn for turn in document(next(streams[other])) if turn[0] != "system"]
        yield task, found


def held_out(task: str, number: int) -> list[Document]:
    """Documents of the eval split, which no training ever sees."""
    if task == PRACTICE:
        return [document(example) for example in islice(practice.examples("eval", seed=1), number)]
    return [document(example) for example in examples(task, split="eval", num_prompts=number, seed=1)]
