"""The search space: dimensions over the method's and the engine's keys, and the way from what is drawn to a
configuration.

A coordinate is what the sampler draws; a parameter is a key of the configuration by its path
("method.prompt_lookup_max"). They differ for a dimension with `plus`, where the coordinate is a difference; for trees
and schedules, which are drawn part by part; and where several methods are searched: there the parameter and coordinate
"method" names one, and the coordinates of its keys begin with its name ("ngram.prompt_lookup_max").
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from autotune.dimension import Dimension, Parameters, Suggest


class Searched(Protocol):
    """One dimension or several that belong together. `values` hold every key of the configuration by its path."""

    @property
    def path(self) -> str: ...

    @property
    def parts(self) -> tuple[Dimension, ...]:
        """Every dimension that may be drawn."""

    @property
    def size(self) -> int | None:
        """How many points there are; None where they are uncountable."""

    def draw(self, suggest: Suggest, found: Parameters, defaults: Mapping[str, Any]) -> None:
        """Put the values of its keys into `found`, which has those of the dimensions before."""

    def locate(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The coordinates of these values; `Outside` where they are never drawn."""

    def points(self) -> Iterator[dict[str, Any]]:
        """The coordinates of every point; only where `size` is known."""

    def starts(self, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The coordinates to begin with, those of `values` first."""

    def simplicity(self, values: Mapping[str, Any]) -> tuple[float, ...]:
        """Smaller is simpler."""


@dataclass(frozen=True)
class Space:
    """`defaults` holds every searchable key with its configured value."""

    dimensions: tuple[Searched, ...]
    defaults: Mapping[str, Any]

    @property
    def size(self) -> int | None:
        """Points in the space, 1 for an empty one; None where uncountable."""
        sizes = [dimension.size for dimension in self.dimensions]
        return None if None in sizes else math.prod(size for size in sizes if size is not None)

    @property
    def parts(self) -> tuple[Dimension, ...]:
        return tuple(part for dimension in self.dimensions for part in dimension.parts)

    def draw(self, suggest: Suggest) -> Parameters:
        """The value of every searched key; `suggest` is asked for the coordinates of this point and for no others."""
        found: Parameters = {}
        for dimension in self.dimensions:
            dimension.draw(suggest, found, self.defaults)
        return found

    def parameters(self, coordinates: Mapping[str, Any]) -> Parameters:
        """The value of every searched key at a point."""
        return self.draw(lambda dimension: coordinates[dimension.coordinate])

    def coordinates(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The point of these parameters, a key that is not given as configured; `Outside` where there is none."""
        values = {**self.defaults, **parameters}
        return {name: value for dimension in self.dimensions for name, value in dimension.locate(values).items()}

    def has(self, coordinates: Mapping[str, Any]) -> bool:
        """Whether these are the coordinates, no more and no fewer, of a point."""
        asked: list[str] = []

        def suggest(dimension: Dimension) -> Any:
            asked.append(dimension.coordinate)
            return coordinates[dimension.coordinate]

        try:
            self.draw(suggest)
        except (LookupError, ValueError):
            return False
        return set(asked) == set(coordinates)

    def choices(self, path: str, owner: str = "") -> tuple[Any, ...]:
        """What a categorical search of the key `path` may choose; nothing where it is not searched."""
        return next((part.choices for part in self.parts if (part.path, part.owner) == (path, owner)), ())

    def starts(self) -> list[dict[str, Any]]:
        """The points to begin with: the configured one, then each with one dimension's further start.

        UsageError where a configured value lies outside its range.
        """
        begins = [dimension.starts(self.defaults) for dimension in self.dimensions]
        points = [_merged([each[0] for each in begins])]
        for place, each in enumerate(begins):
            points += [_merged([other[0] for other in begins[:place]] + [further] + [o[0] for o in begins[place + 1 :]])
                       for further in each[1:]]  # fmt: skip
        return points

    def grid(self) -> list[dict[str, Any]]:
        """Every point; only where `size` is known."""
        return [_merged(point) for point in itertools.product(*(list(d.points()) for d in self.dimensions))]

    def simplicity(self, parameters: Mapping[str, Any]) -> tuple[float, ...]:
        """Smaller is simpler: the methods in the order of conf/method/auto.yaml, then the searched values in the order
        of the search block.
        """
        values = {**self.defaults, **parameters}
        return tuple(number for dimension in self.dimensions for number in dimension.simplicity(values))


def _merged(parts: list[dict[str, Any]] | tuple[dict[str, Any], ...]) -> dict[str, Any]:
    return {name: value for part in parts for name, value in part.items()}
