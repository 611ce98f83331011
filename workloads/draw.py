"""Random choices for one example, confined to the names, places and numbers of one split."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from workloads.request import Split
from workloads.splits import split_of
from workloads.words import names
from workloads.words.time import MONTHS, WEEKDAYS

T = TypeVar("T")
ALTERNATIVES = re.compile(r"\{([^{}]*)\}")
SHARED_NUMBERS_BELOW = 60  # small numbers belong to every split: there are too few of them to divide


class Person(NamedTuple):
    first: str
    last: str

    @property
    def full(self) -> str:
        return f"{self.first} {self.last}"


class Draw:
    """A seeded source of choices; the same (split, seed) gives the same choices on every machine."""

    def __init__(self, split: Split, seed: str) -> None:
        self.split = split
        self.random = random.Random(f"{split}/{seed}")

    def pick(self, options: Sequence[T]) -> T:
        return options[self.random.randrange(len(options))]

    def some(self, options: Sequence[T], count: int) -> list[T]:
        """`count` different options, in random order."""
        return self.random.sample(list(options), count)

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def owned(self, make: Callable[[], str]) -> str:
        """The first made string that belongs to this draw's split."""
        while True:
            text = make()
            if split_of(text) == self.split:
                return text

    def number(self, low: int, high: int) -> int:
        """A whole number from low to high; numbers of `SHARED_NUMBERS_BELOW` and more are divided among the splits."""
        if high < SHARED_NUMBERS_BELOW:
            return self.random.randint(low, high)
        while True:
            value = self.random.randint(low, high)
            if value < SHARED_NUMBERS_BELOW or split_of(f"number {value}") == self.split:
                return value

    def first_name(self) -> str:
        return self.owned(lambda: self.say(names.FIRST))

    def person(self) -> Person:
        return Person(self.first_name(), self.owned(lambda: self.say(names.LAST)))

    def place(self) -> str:
        return self.owned(lambda: self.say(names.PLACE))

    def brand(self) -> str:
        return self.owned(lambda: self.say(names.BRAND))

    def month(self) -> str:
        return self.pick(MONTHS)

    def weekday(self) -> str:
        return self.pick(WEEKDAYS)

    def year(self) -> int:
        return self.number(1820, 1999)

    def say(self, template: str, **slots: object) -> str:
        """Expand `{this|or that}` (nested too) by random choice, then fill `<slot>` names."""
        while True:
            template, changed = ALTERNATIVES.subn(lambda m: self.pick(m.group(1).split("|")), template)
            if not changed:
                break
        for name, value in slots.items():
            template = template.replace(f"<{name}>", str(value))
        return template


def sentence(text: str) -> str:
    """Tidy spaces, start with a capital and end with a full stop."""
    text = re.sub(r"\s+", " ", text).strip().replace(" ,", ",").rstrip(",")
    text = text[:1].upper() + text[1:]
    return text if text[-1] in ".!?" else text + "."


def with_article(noun: str) -> str:
    """The noun with "a" or "an" before it."""
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"
