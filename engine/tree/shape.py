"""What a step needs to know of the shape of one draft, worked out once per shape: static trees come again and again."""

from dataclasses import dataclass
from functools import cached_property, lru_cache

from engine.tree import flat


@dataclass(frozen=True)
class Shape:
    """parents [N] as in `flat`."""

    parents: tuple[int, ...]

    @cached_property
    def is_chain(self) -> bool:
        return self.parents == tuple(range(-1, len(self.parents) - 1))

    @cached_property
    def depths(self) -> list[int]:
        """[N] 1 for children of the root."""
        return flat.depths(self.parents)

    @cached_property
    def depth(self) -> int:
        return max(self.depths, default=0)

    @cached_property
    def ranks(self) -> list[int]:
        return flat.ranks(self.parents)

    @cached_property
    def row_masks(self) -> tuple[int, ...]:
        """[1 + N] which nodes the root's row (none) and every node's row see."""
        return (0, *flat.ancestors(self.parents))

    def __len__(self) -> int:
        return len(self.parents)

    @cached_property
    def paths(self) -> list[list[int]]:
        """[N] the nodes from the root down to each node, itself included."""
        found: list[list[int]] = []
        for node, parent in enumerate(self.parents):
            found.append([*(found[parent] if parent >= 0 else ()), node])
        return found


@lru_cache(maxsize=4096)
def shape_of(parents: tuple[int, ...]) -> Shape:
    """Raises EngineError for what is no tree."""
    flat.check_parents(parents)
    return Shape(parents)


@lru_cache(maxsize=256)
def chain(length: int) -> Shape:
    """Longer than a tree may be: a chain needs no masks."""
    return Shape(tuple(range(-1, length - 1)))
