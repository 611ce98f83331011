"""`TokenTree`: the shape of a static draft tree, the same for every request and step. A chain is the narrowest one."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from engine.errors import ConfigError
from engine.tree import flat
from engine.tree.drawing import draw
from engine.tree.literal import MAX_NODES, Node, parse_token_tree


@dataclass(frozen=True)
class TokenTree:
    """nodes: child ranks from the root to each node, breadth-first and complete, as the class methods make them."""

    nodes: tuple[Node, ...]

    @classmethod
    def parse(cls, text: str, num_speculative_tokens: int) -> "TokenTree":
        """From the value of `speculative_token_tree`. Raises ConfigError."""
        return cls(parse_token_tree(text, num_speculative_tokens))

    @classmethod
    def chain(cls, length: int) -> "TokenTree":
        return cls.from_widths([1] * length)

    @classmethod
    def from_widths(cls, widths: Sequence[int]) -> "TokenTree":
        """widths[d] children for every node at depth d (the root is at depth 0). Raises ConfigError."""
        if not widths or any(not isinstance(width, int) or width < 1 for width in widths):
            raise ConfigError(f"the widths {list(widths)} make no tree: one or more whole numbers of 1 or above")
        level: list[Node] = [()]
        nodes: list[Node] = []
        for width in widths:
            if len(nodes) + len(level) * width > MAX_NODES:
                raise ConfigError(f"the widths {list(widths)} make more than {MAX_NODES} nodes: at most {MAX_NODES}")
            level = [(*node, rank) for node, rank in itertools.product(level, range(width))]
            nodes += level
        return cls(tuple(nodes))

    def within(self, depth: int) -> "TokenTree":
        """The tree cut below `depth`: its first nodes, since they are breadth-first. Depth 0 leaves none."""
        return self if depth >= self.depth else TokenTree(tuple(node for node in self.nodes if len(node) <= depth))

    def __len__(self) -> int:
        return len(self.nodes)

    def __str__(self) -> str:
        """The value of `speculative_token_tree` that says the same."""
        return str(list(self.nodes))

    def draw(self) -> str:
        return draw(self.parents, [str(rank) for rank in self.ranks])

    @property
    def depth(self) -> int:
        return len(self.nodes[-1]) if self.nodes else 0

    @property
    def is_chain(self) -> bool:
        return len(self.nodes) == self.depth

    @property
    def ranks(self) -> list[int]:
        return [node[-1] for node in self.nodes]

    @cached_property
    def parents(self) -> list[int]:
        place = {node: i for i, node in enumerate(self.nodes)}
        return [place[node[:-1]] if len(node) > 1 else -1 for node in self.nodes]

    @cached_property
    def depths(self) -> list[int]:
        return flat.depths(self.parents)

    @cached_property
    def levels(self) -> list[range]:
        """The nodes of depth 1, of depth 2, ..."""
        ends = [0, *itertools.accumulate(self.depths.count(depth + 1) for depth in range(self.depth))]
        return [range(first, end) for first, end in itertools.pairwise(ends)]

    @cached_property
    def num_children(self) -> list[int]:
        """[1 + N] of the root, then of every node."""
        return flat.num_children(self.parents)

    @cached_property
    def first_child(self) -> list[int]:
        """[1 + N] of the root, then of every node: its child of rank 0; the others follow. Of no use for a leaf."""
        return [0, *itertools.accumulate(self.num_children)][:-1]

    @cached_property
    def ancestors(self) -> list[int]:
        """[N] 64-bit masks, as `flat.ancestors` has them."""
        return flat.ancestors(self.parents)

    @cached_property
    def retrieval(self) -> list[list[int]]:
        """[leaves][depth], as `flat.retrieval` has it."""
        return flat.retrieval(self.parents)
