"""The points of a space that the model looks at: all where they can be counted, else a seeded sample."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autotune.dimension import Dimension, Outside
from autotune.space import Space
from autotune.trial import key_of

MOST, SAMPLED, SEVERAL = 2000, 300, 20


@dataclass(frozen=True)
class Candidate:
    """`coordinates` are what the sampler draws, `parameters` what they mean."""

    coordinates: Mapping[str, Any]
    parameters: Mapping[str, Any]

    @property
    def key(self) -> tuple[tuple[str, Any], ...]:
        return key_of(self.parameters)


def candidates(space: Space, seed: int) -> tuple[list[Candidate], bool]:
    """One per configuration, and whether they are all there are."""
    every = space.size is not None and space.size <= MOST
    rng = random.Random(seed)
    points = space.grid() if every else [_sample(space, rng) for _ in range(SAMPLED)]
    found = {each.key: each for each in (Candidate(point, space.parameters(point)) for point in points)}
    return list(found.values()), every


def around(space: Space, best: Sequence[Mapping[str, Any]]) -> list[Candidate]:
    """The points that differ in one coordinate from one of these parameters."""
    found: dict[Any, Candidate] = {}
    for parameters in best:
        try:
            centre = space.coordinates(parameters)
        except Outside:  # a point that stands for something outside the space, as a grown tree does
            continue
        for part in space.parts:
            for value in _other_values(part) if part.coordinate in centre else ():
                moved = {**centre, part.coordinate: value}
                if space.has(moved):
                    each = Candidate(moved, space.parameters(moved))
                    found[each.key] = each
    return list(found.values())


def _other_values(dimension: Dimension) -> list[Any]:
    """All of few, else some of them, evenly."""
    if dimension.size is None:
        return []
    values = dimension.values()
    return values if len(values) <= SEVERAL else values[:: -(-len(values) // SEVERAL)]


def _sample(space: Space, rng: random.Random) -> dict[str, Any]:
    """One point; only what belongs to it is drawn."""
    drawn: dict[str, Any] = {}

    def suggest(dimension: Dimension) -> Any:
        drawn[dimension.coordinate] = _draw(dimension, rng)
        return drawn[dimension.coordinate]

    space.draw(suggest)
    return drawn


def _draw(dimension: Dimension, rng: random.Random) -> Any:
    if dimension.size is not None and not dimension.log:
        return rng.choice(dimension.values())
    if not dimension.log:
        return rng.uniform(dimension.low, dimension.high)
    drawn = math.exp(rng.uniform(math.log(dimension.low), math.log(dimension.high)))
    return round(drawn) if dimension.kind == "int" else drawn
