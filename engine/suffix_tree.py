"""A counted suffix tree over growing token sequences, for suffix decoding. Knows nothing of requests or engines.

Every suffix of every sequence, cut at `max_depth` tokens, is a path from the root. The count of a node is the number
of suffixes that pass through it, so count(child) / count(node) is how often that continuation followed. Edges are
compressed where no suffix ends and none branches off. A label is a stretch of the sequence that made it, never a copy.
"""

from collections import deque
from typing import NamedTuple

import numpy as np

from engine.siblings import Sibling, Siblings


class Node(Sibling):
    """An edge with its lower end: the label tokens[start : start + length], then the children by first token."""

    __slots__ = ("children", "length", "order", "start", "tokens")

    def __init__(self, tokens: list[int], start: int, length: int, count: int):
        self.tokens, self.start, self.length, self.count = tokens, start, length, count
        self.children: dict[int, Node] = {}
        self.order: Siblings[Node] | None = None  # of the children, the likeliest first; None where there are none

    @property
    def best(self) -> "Node | None":
        """The child with the highest count."""
        return self.order.first if self.order is not None else None

    def add(self, child: "Node") -> None:
        """A first or a further child, seen once."""
        self.children[child.tokens[child.start]] = child
        if self.order is None:
            self.order = Siblings(child)
        else:
            self.order.append(child)


class Place(NamedTuple):
    """A point in the tree: `offset` tokens down the label of `node`."""

    node: Node
    offset: int


class Path(NamedTuple):
    """Drafted tokens and their expected number of accepts: the sum of their probabilities."""

    tokens: list[int]
    score: np.float32


ONE, EMPTY = np.float32(1), Path([], np.float32(0))


class Text:
    """One growing sequence in a tree. ends[i] is the node at whose lower end its i-th longest open suffix ends."""

    def __init__(self) -> None:
        self.tokens: list[int] = []
        self.ends: deque[Node] = deque()


class SuffixTree:
    """Costs of `append` grow with max_depth only; those of `remove` with the length of the sequence."""

    def __init__(self, max_depth: int):
        self._max_depth = max_depth
        self._root = Node([], 0, 0, 0)

    def append(self, text: Text, token: int) -> None:
        """Extend every open suffix of `text` by one token, and open a new one."""
        text.tokens.append(token)
        text.ends.append(self._root)
        if len(text.ends) > self._max_depth:
            text.ends.popleft()
        for i, node in enumerate(text.ends):
            text.ends[i] = self._step(node, token, text.tokens)

    def remove(self, text: Text) -> None:
        """Take every suffix of `text` out again."""
        for start in range(len(text.tokens)):
            self._forget(text.tokens[start : start + self._max_depth])

    def find(self, pattern: list[int]) -> Place | None:
        """Where a walk from the root along `pattern` ends, if there is such a path."""
        node, offset = self._root, 0
        for token in pattern:
            if offset == node.length:
                child = node.children.get(token)
                if child is None:
                    return None
                node, offset = child, 1
            elif node.tokens[node.start + offset] == token:
                offset += 1
            else:
                return None
        return Place(node, offset)

    @staticmethod
    def likeliest_path(place: Place, limit: int, min_prob: float) -> Path:
        """Follow the most frequent continuation for up to `limit` tokens while its probability stays at `min_prob`.

        In single precision, like other implementations: rounding decides which of two paths of equal score wins.
        """
        (node, offset), prob, score = place, ONE, EMPTY.score
        tokens: list[int] = []
        least = np.float32(min_prob)
        while len(tokens) < limit and prob >= least:
            if offset < node.length:
                tokens.append(node.tokens[node.start + offset])
                score += prob
                offset += 1
            elif (best := node.best) is None:
                break
            else:
                prob = prob * np.float32(best.count / node.count)
                node, offset = best, 0
        return Path(tokens, score)

    def _step(self, node: Node, token: int, tokens: list[int]) -> Node:
        """Move one suffix from the end of `node` down by `token`, the last of `tokens`; returns where it now ends."""
        child, is_root = node.children.get(token), node is self._root
        if child is None:
            return self._grow(node, tokens, is_root)
        if not is_root and node.count == child.count + 1 and child.length > 1:
            # Ours is the only suffix that ends here: move the border between the two edges down by one token.
            node.tokens, node.start, node.length = child.tokens, child.start - node.length, node.length + 1
            _shorten(child)
            node.children = {child.tokens[child.start]: child}
            return node
        lower = child if child.length == 1 else _split(node, child, token)
        assert node.order is not None
        node.order.rise(lower)
        return lower

    def _grow(self, node: Node, tokens: list[int], is_root: bool) -> Node:
        last = len(tokens) - 1
        if node.count == 1 and not is_root and node.tokens is tokens and node.start + node.length == last:
            node.length += 1  # a leaf of this suffix alone
            return node
        leaf = Node(tokens, last, 1, 1)
        node.add(leaf)
        return leaf

    def _forget(self, suffix: list[int]) -> None:
        node, depth = self._root, 0
        while depth < len(suffix):
            child = node.children[suffix[depth]]
            assert node.order is not None
            if child.count == 1:
                del node.children[suffix[depth]]
                node.order.remove(child)
                return
            node.order.fall(child)
            node, depth = child, depth + child.length


def _shorten(child: Node) -> None:
    child.start += 1
    child.length -= 1


def _split(node: Node, child: Node, token: int) -> Node:
    """Cut the first token of `child` off into a node of its own between the two."""
    upper = Node(child.tokens, child.start, 1, child.count)
    _shorten(child)
    node.children[token] = upper
    assert node.order is not None
    node.order.replace(child, upper)
    upper.add(child)
    return upper
