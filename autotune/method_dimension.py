"""The choice of the method, where several are searched: every method's own dimensions are drawn only where it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from autotune.dimension import METHOD, Dimension, Outside, Parameters, Suggest

if TYPE_CHECKING:
    from autotune.space import Space


@dataclass(frozen=True)
class MethodDimension:
    """`branches` are the methods' spaces, the simplest method first."""

    branches: Mapping[str, Space]
    path: str = METHOD

    @property
    def choice(self) -> Dimension:
        return Dimension(METHOD, "categorical", choices=tuple(self.branches))

    @property
    def parts(self) -> tuple[Dimension, ...]:
        return (self.choice, *(part for space in self.branches.values() for part in space.parts))

    @property
    def size(self) -> int | None:
        """The sum over the methods."""
        sizes = [space.size for space in self.branches.values()]
        return None if None in sizes else sum(size for size in sizes if size is not None)

    def draw(self, suggest: Suggest, found: Parameters, defaults: Mapping[str, Any]) -> None:
        found[METHOD] = suggest(self.choice)
        found |= self.branches[found[METHOD]].draw(suggest)

    def locate(self, values: Mapping[str, Any]) -> dict[str, Any]:
        name = values.get(METHOD)
        if not isinstance(name, str) or name not in self.branches:
            raise Outside(METHOD, name, str(self.choice))
        return {METHOD: name, **self.branches[name].coordinates(values)}

    def points(self) -> Iterator[dict[str, Any]]:
        for name, space in self.branches.items():
            yield from ({METHOD: name, **point} for point in space.grid())

    def starts(self, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Every method as it is configured; then what else each one begins with."""
        begins = {name: space.starts() for name, space in self.branches.items()}
        firsts = [{METHOD: name, **points[0]} for name, points in begins.items()]
        return firsts + [{METHOD: name, **point} for name, points in begins.items() for point in points[1:]]

    def simplicity(self, values: Mapping[str, Any]) -> tuple[float, ...]:
        name = values[METHOD]
        return (float(list(self.branches).index(name)), *self.branches[name].simplicity(values))
