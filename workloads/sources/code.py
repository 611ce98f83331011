"""Complete a function of Python's standard library from its beginning; files are divided among the splits by name.

Which functions there are depends on the Python that runs this; for one Python version the prompts are always the same.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from typing import Any

from workloads.generate import example
from workloads.request import SPLITS as SPLITS
from workloads.request import Example, Split
from workloads.stdlib import functions

OPTIONS: dict[str, Any] = {}
MOST_LINES = 8  # of an answer
ASK = "Complete this Python function."


def examples(split: Split, seed: int, options: Mapping[str, Any]) -> Iterator[Example]:
    """Each function of the split once, in an order given by the seed."""
    found = list(functions(split))
    draw = random.Random(f"code/{split}/{seed}")
    draw.shuffle(found)
    for file, lines, head in found:
        rest = draw.randint(2, min(MOST_LINES, len(lines) - head))
        start, end = lines[: len(lines) - rest], lines[len(lines) - rest :]
        yield example(f"{ASK}\n\n" + "\n".join(start) + "\n", "\n".join(end), file=file)
