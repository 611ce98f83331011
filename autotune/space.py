"""The search space: dimensions over the method's and the engine's keys, and the way from what is drawn to a
configuration.

A coordinate is what the sampler draws; a parameter is a key of the configuration by its path
("method.prompt_lookup_max"). They differ only for a dimension with `plus`, where the coordinate is a difference.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from autotune.dimension import Dimension, parse
from autotune.errors import UsageError, nearest
from autotune.settings import Settings

ROOTS = ("method", "engine")
Parameters = dict[str, Any]


@dataclass(frozen=True)
class Space:
    """`defaults` holds every searchable key with its configured value."""

    dimensions: tuple[Dimension, ...]
    defaults: Mapping[str, Any]

    @property
    def size(self) -> int | None:
        """Points in the space, 1 for an empty one; None where uncountable."""
        sizes = [dimension.size for dimension in self.dimensions]
        return None if None in sizes else math.prod(size for size in sizes if size is not None)

    def parameters(self, coordinates: Mapping[str, Any]) -> Parameters:
        """The value of every searched key. A `plus` refers to a dimension listed before it, or to a fixed key."""
        found: Parameters = {}
        for dimension in self.dimensions:
            drawn = coordinates[dimension.coordinate]
            value = drawn if dimension.plus is None else self._base(dimension, found) + drawn
            found[dimension.path] = float(f"{value:.10g}") if isinstance(value, float) else value  # 0.35, not 0.350…03
        return found

    def choices(self, path: str) -> tuple[Any, ...]:
        """What a categorical search of the key `path` may choose; nothing where it is not searched."""
        return next((dimension.choices for dimension in self.dimensions if dimension.path == path), ())

    def default_coordinates(self) -> dict[str, Any]:
        """The configured values as a point of the space; UsageError where a value lies outside its range."""
        coordinates = {}
        for dimension in self.dimensions:
            value = self.defaults[dimension.path]
            drawn = value
            if dimension.plus is not None and isinstance(value, int | float):
                drawn = value - self._base(dimension, self.defaults)
            if not dimension.contains(drawn):
                raise UsageError(
                    f"{dimension.path} is {value!r}, outside what is searched ({dimension}); choose a value inside, "
                    f"or keep it fixed with {fix(dimension.path)}"
                )
            coordinates[dimension.coordinate] = drawn
        return coordinates

    def grid(self) -> list[dict[str, Any]]:
        """Every point; only where `size` is known."""
        axes = [dimension.values() for dimension in self.dimensions]
        names = [dimension.coordinate for dimension in self.dimensions]
        return [dict(zip(names, point, strict=True)) for point in itertools.product(*axes)]

    def simplicity(self, parameters: Mapping[str, Any]) -> tuple[float, ...]:
        """Smaller is simpler: the searched values in the order of the search block, choices by their place in the
        list.
        """
        return tuple(
            float(d.choices.index(parameters[d.path])) if d.choices else float(parameters[d.path])
            for d in self.dimensions
        )

    def _base(self, dimension: Dimension, values: Mapping[str, Any]) -> Any:
        other = dimension.plus or ""
        base = values.get(other, self.defaults.get(other))
        if isinstance(base, bool) or not isinstance(base, int | float):
            raise UsageError(
                f"search of {dimension.path} adds to {dimension.plus}, which is {base!r}; it must be a number"
            )
        return base


def fix(path: str) -> str:
    """The override that takes a key out of the search."""
    root, _, key = path.partition(".")
    return f"{root}.search.{key}=null" if root == "method" else f"search.{path}=null"


def space_of(settings: Settings) -> Space:
    """The method's own search block, with the command line's on top."""
    defaults = {f"method.{key}": value for key, value in (settings.method.speculative_config or {}).items()}
    defaults |= {f"engine.{key}": value for key, value in settings.engine.options.items()}
    blocks = {f"method.{key}": block for key, block in settings.method.search.items()}
    for root, entries in settings.search.items():
        if root not in ROOTS or not isinstance(entries, Mapping):
            raise UsageError(
                f"search.{root} cannot be searched: it would change what is compared; "
                "allowed: search.method.KEY, search.engine.KEY"
            )
        blocks |= {f"{root}.{key}": block for key, block in entries.items()}
    dimensions = tuple(_dimension(path, block, defaults) for path, block in blocks.items() if block is not None)
    return Space(_ordered(dimensions), defaults)


def _dimension(path: str, block: object, defaults: Mapping[str, Any]) -> Dimension:
    if path not in defaults:
        raise UsageError(
            f"{path} is to be searched but is no key of the configuration; {nearest(path, list(defaults))}"
        )
    dimension = parse(path, block)
    if dimension.plus is None:
        return dimension
    base = dimension.plus if "." in dimension.plus else f"{path.partition('.')[0]}.{dimension.plus}"
    if base not in defaults or base == path:
        raise UsageError(f"search of {path} adds to {base}, which is no other key; {nearest(base, list(defaults))}")
    return Dimension(**{**vars(dimension), "plus": base})


def _ordered(dimensions: tuple[Dimension, ...]) -> tuple[Dimension, ...]:
    """A dimension with `plus` after the one it refers to, otherwise as written."""
    placed: list[Dimension] = []
    waiting = list(dimensions)
    while waiting:
        open_paths = {dimension.path for dimension in waiting}
        ready = [dimension for dimension in waiting if dimension.plus not in open_paths]
        if not ready:
            raise UsageError(
                f"search of {waiting[0].path} and {waiting[-1].path} refer to each other; one must stand alone"
            )
        placed.append(ready[0])
        waiting.remove(ready[0])
    return tuple(placed)
