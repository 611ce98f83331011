"""What goes through the pipes between rank 0 and its followers."""

from typing import Any, Literal, NamedTuple

from engine.errors import ConfigError, EngineError

# done; refused: a mistake of the caller's, found by all alike; the others are the end of the process that says so.
Kind = Literal["done", "refused", "memory", "failed", "disconnected"]


class Opening(NamedTuple):
    """What a follower is to load, and the port at which all meet."""

    rank: int
    size: int
    port: int
    wishes: dict[str, Any]


class Call(NamedTuple):
    """A method of the engine that all make at once, from the same `progress` of running requests."""

    name: str
    arguments: tuple[Any, ...]
    progress: int
    is_answered: bool


class Answer(NamedTuple):
    kind: Kind
    text: str = ""


def is_refusal(error: BaseException) -> bool:
    """Whether it says no more than that the call was wrong."""
    return isinstance(error, ConfigError) or type(error) is EngineError
