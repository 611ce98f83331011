"""Reading prompt files: every error names the file and the line."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

from workloads.errors import WorkloadError
from workloads.request import Split

Row = tuple[str, dict[str, Any]]  # "file, line n" and the object of that line


def rows(path: str | None, source: str) -> list[Row]:
    """Every object of a JSON-lines file; blank lines are passed over, anything else that is no object is an error."""
    if not path:
        raise WorkloadError(f"workload source {source} needs options.path: a JSON-lines file of prompts")
    found = []
    for number, line in enumerate(text_of(Path(path)).split("\n"), 1):
        if line.strip():
            found.append(parsed(line, f"{path}, line {number}"))
    if not found:
        raise WorkloadError(f"{path} is empty; it needs at least one JSON object, one a line")
    return found


def text_of(path: Path) -> str:
    if not path.is_file():
        raise WorkloadError(f"{path} does not exist or is no file; give the path of a JSON-lines file")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise WorkloadError(f"{path} is not UTF-8 text (byte {error.start}); give a JSON-lines file") from error
    except OSError as error:
        raise WorkloadError(f"{path} cannot be read ({error.strerror}); give a readable JSON-lines file") from error


def parsed(line: str, where: str) -> Row:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise WorkloadError(
            f"{where}: not valid JSON ({error.msg} at column {error.colno}); write one object a line"
        ) from error
    if not isinstance(row, dict):
        raise WorkloadError(f"{where}: a JSON {type(row).__name__}, not an object; write one object a line")
    return where, row


def halves(found: list[Row], split: Split, seed: int, search_share: float = 0.5) -> list[Row]:
    """The rows of one of the two splits: which one a row is in depends on its position alone, its order on the seed.

    Rows with the same content would leak from one split into the other, so only the first of them counts.
    """
    once = list({json.dumps(row, sort_keys=True): (where, row) for where, row in reversed(found)}.values())[::-1]
    order = list(range(len(once)))
    random.Random("halves").shuffle(order)
    searched = {
        index
        for place, index in enumerate(order)
        if math.ceil((place + 1) * search_share) > math.ceil(place * search_share)
    }
    half = [index for index in order if (index in searched) == (split == "search")]
    random.Random(f"file/{seed}").shuffle(half)
    return [once[index] for index in half]
