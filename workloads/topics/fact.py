"""The pieces a passage is made of. A fact can be told, summarised, asked about and answered; see `assemble.py`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

WHO = "<who>"  # stands for the subject until a passage decides how to name it


class Ask(NamedTuple):
    """A question about a fact and the words that a right answer contains."""

    question: str
    key: str


@dataclass(frozen=True)
class Fact:
    """`core` is a clause without a full stop; `when` and `why` are phrases that can stand before or after it."""

    core: str
    asks: tuple[Ask, ...]
    when: str = ""
    why: str = ""
    main: bool = True


@dataclass(frozen=True)
class Topic:
    """A subject (a person, a place, a thing) with its facts in the order in which they happened."""

    kind: str
    full: str
    short: str
    facts: tuple[Fact, ...]
