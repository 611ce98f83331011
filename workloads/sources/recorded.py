"""Recorded pairs of prompt and response, for a replay.

Two layouts, told apart by their fields: {"prompt", "response"}, each a text or a list of token ids, and FastChat's
answer files ({"question_id", "choices"}), which need their question file beside them; of turns, the first is used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from workloads.errors import WorkloadError
from workloads.files import halves, rows
from workloads.request import Example, Split

SPLITS = ("search", "confirm")
FINITE = True
OPTIONS: dict[str, Any] = {
    "path": None,
    "prompts": None,  # FastChat's question file, joined on question_id
    "search_share": 0.5,  # of the pairs; the others are held out
}


def examples(split: Split, seed: int, options: Mapping[str, Any]) -> Iterator[Example]:
    """The split's share of the pairs, in an order given by the seed."""
    share = options["search_share"]
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
        raise WorkloadError(f"search_share is {share!r}; it must be a number from 0 to 1")
    found = halves(rows(options["path"], "recorded"), split, seed, share)
    questions = questions_of(options["prompts"]) if options["prompts"] else {}
    for where, row in found:
        prompt, response = answered(row, where, questions) if "choices" in row else plain(row, where)
        yield Example(prompt, response=response)


def plain(row: Mapping[str, Any], where: str) -> tuple[Any, Any]:
    return recorded(row, "prompt", where), recorded(row, "response", where)


def recorded(row: Mapping[str, Any], field: str, where: str) -> str | tuple[int, ...]:
    """A text, or token ids; WorkloadError for anything else, and for an empty prompt."""
    value = row.get(field)
    if isinstance(value, str) and (value or field == "response"):
        return value
    whole = isinstance(value, list) and all(isinstance(entry, int) and not isinstance(entry, bool) for entry in value)
    if isinstance(value, list) and whole and (value or field == "response"):
        return tuple(value)
    raise WorkloadError(f"{where}: {field} is {shortened(value)}; it must be a text or a list of token ids, not empty")


def answered(row: Mapping[str, Any], where: str, questions: Mapping[str, str]) -> tuple[str, str]:
    """First turn of the question and of the first answer to it."""
    if not questions:
        raise WorkloadError(
            f"{where}: an answer without its prompt; give the file of questions with model.prompts=FILE"
        )
    number = str(row.get("question_id"))
    if number not in questions:
        raise WorkloadError(
            f"{where}: question_id {number} is not in the file of questions; give the file it belongs to"
        )
    try:
        answer = row["choices"][0]["turns"][0]
    except (TypeError, KeyError, IndexError) as error:
        raise WorkloadError(f"{where}: choices must be a list of objects with turns, a list of texts") from error
    return questions[number], recorded({"response": answer}, "response", where)  # type: ignore[return-value]


def questions_of(path: str) -> dict[str, str]:
    """First turns by question_id."""
    found = {}
    for where, row in rows(path, "recorded"):
        turns = row.get("turns")
        if "question_id" not in row or not isinstance(turns, list) or not turns or not isinstance(turns[0], str):
            raise WorkloadError(f"{where}: not a question; it needs the fields question_id and turns, a list of texts")
        found[str(row["question_id"])] = turns[0]
    return found


def shortened(value: object) -> str:
    text = repr(value)
    return text if len(text) < 40 else text[:37] + "..."
