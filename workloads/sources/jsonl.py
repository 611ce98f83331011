"""Prompts from any JSON-lines file with a `prompt`, `messages` or `turns` field (of turns, the first is used)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from workloads.errors import WorkloadError
from workloads.files import halves, rows
from workloads.request import Example, Message, Prompt, Split

SPLITS = ("search", "confirm")
FINITE = True
OPTIONS: dict[str, Any] = {
    "path": None,
    "chat": True,
}  # chat: a `prompt` string becomes a user message, else it is bare text
FIELDS = ("prompt", "messages", "turns")


def examples(split: Split, seed: int, options: Mapping[str, Any]) -> Iterator[Example]:
    """Half of the file's rows for each split, in an order given by the seed."""
    for where, row in halves(rows(options["path"], "jsonl"), split, seed):
        reference = row.get("reference")
        if isinstance(reference, list):
            reference = reference[0] if reference else None
        yield Example(prompt_of(row, where, options["chat"]), reference if isinstance(reference, str) else None)


def prompt_of(row: Mapping[str, Any], where: str, chat: bool) -> Prompt:
    """The prompt of one row; WorkloadError with the file and the line if it has none."""
    if isinstance(row.get("prompt"), str) and row["prompt"]:
        return (Message("user", row["prompt"]),) if chat else row["prompt"]
    if row.get("messages"):
        return messages_of(row["messages"], where)
    turns = row.get("turns")
    if isinstance(turns, list) and turns and isinstance(turns[0], str):
        return (Message("user", turns[0]),)
    raise WorkloadError(f"{where}: no usable prompt; a row needs one of the fields {', '.join(FIELDS)}, not empty")


def messages_of(messages: Any, where: str) -> tuple[Message, ...]:
    """Chat messages up to the last that is not the assistant's, which is the one to answer."""
    try:
        found = [Message(str(message["role"]), str(message["content"])) for message in messages]
    except (TypeError, KeyError) as error:
        raise WorkloadError(f"{where}: messages must be a list of objects with role and content") from error
    while found and found[-1].role == "assistant":
        found.pop()
    if not found:
        raise WorkloadError(f"{where}: messages has no turn of the user to answer")
    return tuple(found)
