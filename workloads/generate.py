"""What the generated tasks share: an endless stream of examples, one seed each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count

from workloads.draw import Draw
from workloads.request import Example, Message, Split


def stream(task: str, make: Callable[[Draw], Example], split: Split, seed: int) -> Iterator[Example]:
    """Example number i depends on (task, split, seed, i) alone."""
    for index in count():
        yield make(Draw(split, f"{task}/{seed}/{index}"))


def example(question: str, answer: str, key: str | None = None, **tags: str) -> Example:
    """A one-turn conversation."""
    return Example((Message("user", question),), answer, key, tags)
