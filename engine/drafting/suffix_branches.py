"""The continuations of several places in suffix trees, grown into the shape of a draft tree, the likeliest first.

A token's probability is that of the path to it from its place: count(child) / count(parent) at every branching.
"""

from collections.abc import Iterable
from heapq import heappop, heappush
from itertools import count

from engine.drafting.branches import ROOT, Branches
from engine.suffix_tree import Node, Place

MOST_VISITS = 512


def grow(branches: Branches, sources: Iterable[tuple[Place, int]], min_prob: float) -> None:
    """Fill the shape with tokens of probability `min_prob` and above that follow one of the places, each to its own
    depth at most; of equally likely tokens the earlier place's. A path ends where the shape has no room for it, and
    after MOST_VISITS tokens no further one is looked at, so that a step's cost is bounded at any min_prob.
    """
    frontier = Frontier(min_prob)
    for place, depth in sources:
        frontier.open(1.0, place.node, place.offset, ROOT, depth)
    visits = 0
    while frontier.heap and not branches.is_full and visits < MOST_VISITS:
        falling, _, node, offset, above, left = heappop(frontier.heap)
        visits += 1
        if offset == 0 and node.after is not None:
            frontier.push(-falling * node.after.count / node.count, node.after, 0, above, left)
        found = branches.child(above, node.tokens[node.start + offset])
        if found is not None:
            frontier.open(-falling, node, offset + 1, found, left - 1)


class Frontier:
    """The tokens that may come next: a point in a suffix tree, the draft's node above it, and the levels left."""

    def __init__(self, min_prob: float):
        self.heap: list[tuple[float, int, Node, int, int, int]] = []  # the likeliest first, then the oldest
        self._min_prob, self._number = min_prob, count()

    def open(self, prob: float, node: Node, offset: int, above: int, left: int) -> None:
        """The likeliest token after `offset` tokens of the label of `node`."""
        if offset < node.length:
            self.push(prob, node, offset, above, left)
        elif (best := node.best) is not None:
            self.push(prob * best.count / node.count, best, 0, above, left)

    def push(self, prob: float, node: Node, offset: int, above: int, left: int) -> None:
        if prob >= self._min_prob and left > 0:
            heappush(self.heap, (-prob, next(self._number), node, offset, above, left))
