"""One searched knob: the values it allows, and the way from what is drawn to the value of its key."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from autotune.errors import UsageError

Kind = Literal["int", "float", "categorical"]
Parameters = dict[str, Any]
METHOD = "method"
"""The parameter, and the coordinate, that holds a method's name where several are searched."""


@dataclass(frozen=True)
class Dimension:
    """`path` is the key it sets. With `plus`, what is drawn is the difference to the value of that other key.
    `owner` is the method that the key belongs to, where several are searched.
    """

    path: str
    kind: Kind
    low: float = 0
    high: float = 0
    choices: tuple[Any, ...] = ()
    log: bool = False
    step: float | None = None
    plus: str | None = None
    owner: str = ""

    @property
    def coordinate(self) -> str:
        """The name of what is drawn: the key itself, or its difference to the other one."""
        name = owned(self.path, self.owner)
        return name if self.plus is None else f"{name} - {owned(self.plus, self.owner)}"

    @property
    def size(self) -> int | None:
        """How many values can be drawn; None where they are uncountable."""
        if self.kind == "categorical":
            return len(self.choices)
        if self.kind == "float" and self.step is None:
            return None
        return int((self.high - self.low) / (self.step or 1) + 1e-9) + 1

    def values(self) -> list[Any]:
        """All values that can be drawn; only where `size` is known."""
        if self.kind == "categorical":
            return [_label(choice) for choice in self.choices]
        step = self.step or 1
        drawn = [round(self.low + index * step, 12) for index in range(self.size or 0)]
        return [int(value) for value in drawn] if self.kind == "int" else drawn

    def contains(self, value: Any) -> bool:
        if self.kind == "categorical":
            return value in self.choices
        if isinstance(value, bool) or not isinstance(value, int | float) or not self.low <= value <= self.high:
            return False
        return self.step is None or math.isclose((value - self.low) / self.step, round((value - self.low) / self.step))

    def draw(self, suggest: Suggest, found: Parameters, defaults: Mapping[str, Any]) -> None:
        """Put the key's value into `found`. A `plus` refers to a dimension drawn before it, or to a fixed key."""
        drawn = suggest(self)
        value = drawn if self.plus is None else self._base({**defaults, **found}) + drawn
        value = self.choices[self.values().index(drawn)] if self.kind == "categorical" else value
        found[self.path] = float(f"{value:.10g}") if isinstance(value, float) else value  # 0.35, not 0.350…03

    def locate(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The coordinate at which the key has the value that it has in `values`; `Outside` where there is none."""
        value = drawn = values[self.path]
        if self.plus is not None and isinstance(value, int | float):
            drawn = value - self._base(values)
        if not self.contains(drawn):
            raise Outside(self.path, value, str(self), self.owner)
        return {self.coordinate: _label(drawn)}

    def starts(self, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The points that a study begins with."""
        return [self.locate(values)]

    @property
    def parts(self) -> tuple[Dimension, ...]:
        """Everything that may be drawn."""
        return (self,)

    def points(self) -> Iterator[dict[str, Any]]:
        """Every point of this dimension alone; only where `size` is known."""
        return ({self.coordinate: value} for value in self.values())

    def simplicity(self, values: Mapping[str, Any]) -> tuple[float, ...]:
        """Smaller is simpler; choices by their place in the list."""
        value = values[self.path]
        return (float(self.choices.index(value)) if self.choices else float(value),)

    def _base(self, values: Mapping[str, Any]) -> Any:
        base = values.get(self.plus or "")
        if isinstance(base, bool) or not isinstance(base, int | float):
            raise UsageError(f"search of {self.path} adds to {self.plus}, which is {base!r}; it must be a number")
        return base

    def __str__(self) -> str:
        what = "one of " + ", ".join(map(str, self.choices)) if self.choices else f"{self.low} to {self.high}"
        return what + (f" above {self.plus}" if self.plus else "")


Suggest = Callable[[Dimension], Any]
"""Draws one coordinate."""


class Outside(UsageError):
    """A value that the search would never draw."""

    def __init__(self, path: str, value: object, allowed: str, owner: str = "") -> None:
        super().__init__(
            f"{named(path, owner)} is {value!r}, outside what is searched ({allowed}); choose a value inside, "
            f"or keep it fixed with {fix(path, owner)}"
        )


def fix(path: str, owner: str = "") -> str:
    """The override that takes a key out of the search."""
    root, _, key = path.partition(".")
    return f"{named('method.search', owner)}.{key}=null" if root == METHOD else f"search.{path}=null"


def named(path: str, owner: str) -> str:
    """A key of the configuration by the path under which the command line has it."""
    return f"method.{owned(path, owner)}" if owner and path.startswith("method.") else path


def owned(path: str, owner: str) -> str:
    """A method's key by the method's own name, where several methods are searched: eagle3.model for method.model."""
    return path if not owner or not path.startswith("method.") else f"{owner}.{path.removeprefix('method.')}"


def _label(choice: Any) -> Any:
    """What is drawn for a choice: itself, or a list as text."""
    return json.dumps(choice) if isinstance(choice, list) else choice
