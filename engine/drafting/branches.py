"""Several continuations of one text as one draft tree. Knows nothing of where continuations come from.

A node is named by the node of the shape that it stands in, so a draft is a part of its shape, and what became of a
shape's node can be told over many drafts. Siblings always have different tokens.
"""

from collections.abc import Sequence
from typing import NamedTuple

from engine.tree.token_tree import TokenTree

ROOT = -1


class Branch(NamedTuple):
    """The draft of one sequence, breadth-first: tokens [n]; parents [n], -1 the root; nodes [n] of the shape."""

    tokens: list[int]
    parents: list[int]
    nodes: list[int]


class Branches:
    """A trie in the shape of a TokenTree: a token gets the next rank that is free below its parent."""

    def __init__(self, shape: TokenTree):
        self._room, self._first = shape.num_children, shape.first_child
        self._children: dict[int, dict[int, int]] = {}  # node (or ROOT) -> token -> child
        self._tokens: dict[int, int] = {}  # of every node there is
        self._left = len(shape)

    @property
    def is_full(self) -> bool:
        """No node of the shape is free."""
        return not self._left

    def child(self, node: int, token: int) -> int | None:
        """The child of `node` with that token, created where the shape has a further one; None where it has not."""
        children = self._children.setdefault(node, {})
        found = children.get(token)
        if found is None and len(children) < self._room[1 + node]:
            found = children[token] = self._first[1 + node] + len(children)
            self._tokens[found] = token
            self._left -= 1
        return found

    def add(self, continuation: Sequence[int]) -> None:
        """Walk it from the root; from the first token for which the shape has no room, the rest is dropped."""
        node = ROOT
        for token in continuation:
            child = self.child(node, token)
            if child is None:
                return
            node = child

    def branch(self) -> Branch:
        """All nodes there are; in the order of the shape, which is breadth-first."""
        nodes = sorted(self._tokens)
        place = {node: i for i, node in enumerate(nodes)}
        parents = {child: node for node, children in self._children.items() for child in children.values()}
        return Branch(
            [self._tokens[node] for node in nodes],
            [place.get(parents[node], ROOT) for node in nodes],
            nodes,
        )
