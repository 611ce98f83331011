"""Two exercises mixed into the training corpus: repeat a list, look names up in a list.

A small model learns to copy from its prompt much earlier with them; summaries, answers and quotations all need that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count

from workloads.draw import Draw
from workloads.generate import example
from workloads.request import Example, Split


def examples(split: Split, seed: int) -> Iterator[Example]:
    """Exercises without end; both kinds in turn."""
    for index in count():
        draw = Draw(split, f"practice/{seed}/{index}")
        yield draw.pick((repeat, look_up))(draw)


def repeat(draw: Draw) -> Example:
    text = " ".join(word(draw) for _ in range(draw.random.randint(6, 40)))
    return example(f"Repeat this.\n\n{text}", text)


def look_up(draw: Draw) -> Example:
    """A list of names with a word each; some of the names are asked for, in another order."""
    entries = {draw.first_name(): word(draw) for _ in range(draw.random.randint(4, 16))}
    asked = draw.some(list(entries), draw.random.randint(2, min(6, len(entries))))
    listed = ", ".join(f"{name} has {entry}" for name, entry in entries.items())
    return example(
        f"{listed}.\n\nWhat do {', '.join(asked)} have?", " ".join(f"{name} has {entries[name]}." for name in asked)
    )


def word(draw: Draw) -> str:
    kinds: tuple[Callable[[], object], ...] = (
        draw.first_name,
        draw.place,
        draw.brand,
        lambda: draw.person().last,
        lambda: draw.number(2, 990),
    )
    return str(draw.pick(kinds)())
