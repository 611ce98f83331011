"""What a workload hands out. Knows nothing of engines or tokenizers: a prompt is text, chat messages or token ids."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

Split = Literal["train", "search", "confirm", "eval"]
SPLITS: tuple[Split, ...] = ("train", "search", "confirm", "eval")


class Message(NamedTuple):
    """One turn of a conversation; role is "system", "user" or "assistant"."""

    role: str
    content: str


Text = str | tuple[int, ...]  # as it is, or the ids of its tokens
Prompt = Text | tuple[Message, ...]


@dataclass(frozen=True)
class Example:
    """What a source produces: a prompt, and the answer where the source knows one.

    `key` is the short string that a right answer must contain (for exact match), `tags` are facts for scoring,
    `response` is what some model did answer, where that was recorded.
    """

    prompt: Prompt
    reference: str | None = None
    key: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    response: Text | None = None


@dataclass(frozen=True)
class Request:
    """One prompt to serve, the same object at every load and in every trial.

    `sampling` holds names of the engine's sampling parameters. When it comes is the load's business, not its own.
    """

    request_id: str
    prompt: Prompt
    max_tokens: int
    sampling: Mapping[str, Any]
    tags: Mapping[str, str] = field(default_factory=dict)
    reference: str | None = None
    response: Text | None = None
