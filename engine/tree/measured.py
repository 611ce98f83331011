"""What counters of past drafts say a node's acceptance is, also of nodes that were never drafted: for `best_first`."""

from collections import Counter
from collections.abc import Sequence

from engine.stats import SpecDecodingStats
from engine.tree.literal import Node
from engine.tree.token_tree import TokenTree

Run = tuple[TokenTree, SpecDecodingStats]
FIRST, NEXT_RANK = 0.5, 0.5  # nothing measured: of a first child; of a child relative to the sibling before it
PRIOR = 10.0  # tries that what is less specific weighs: a node's depth and rank, its rank alone, the rank before


def unmeasured(node: Node) -> float:
    """A tree to begin with."""
    return FIRST * NEXT_RANK ** node[-1]


class Measured:
    """Counts of several runs, each of which drafted one tree, together.

    A node's acceptance is accepted / drafts that reached its parent, drawn towards that of its depth and rank. Drafts
    that had no such node are counted too, so the product along a path is the share of drafts in which it was accepted,
    whatever a method leaves empty.
    """

    def __init__(self, runs: Sequence[Run]):
        self._accepted: Counter[Node] = Counter()
        self._reached: Counter[Node] = Counter()
        self._by_rank: dict[tuple[int, int], list[int]] = {}  # (depth, rank), depth 0 for all together: accepted, tried
        for tree, stats in runs:
            self._add_nodes(tree, stats)
            self._add_ranks(stats)

    def known(self, node: Node) -> float:
        """0 for nodes that no run had: for a tree that promises no more than was seen."""
        return self.guess(node) if node in self._reached else 0.0

    def guess(self, node: Node) -> float:
        """Of any node: for a tree that finds out."""
        expected = self._of_rank(len(node), node[-1])
        return (self._accepted[node] + PRIOR * expected) / (self._reached[node] + PRIOR)

    def _of_rank(self, depth: int, rank: int) -> float:
        """Of all nodes of that depth and rank, drawn towards all of that rank, and these towards the rank before."""
        less_specific = self._of_rank(0, rank) if depth else NEXT_RANK * self._of_rank(0, rank - 1) if rank else FIRST
        accepted, tried = self._by_rank.get((depth, rank), (0, 0))
        return (accepted + PRIOR * less_specific) / (tried + PRIOR)

    def _add_nodes(self, tree: TokenTree, stats: SpecDecodingStats) -> None:
        counts = [*stats.node_accepted, *[0] * (len(tree) - len(stats.node_accepted))]
        accepted = dict(zip(tree.nodes, counts, strict=True))
        self._accepted.update(accepted)
        self._reached.update({node: accepted.get(node[:-1], stats.num_drafts) for node in tree.nodes})

    def _add_ranks(self, stats: SpecDecodingStats) -> None:
        for depth, (accepted, tried) in enumerate(zip(stats.tree_accepted, stats.tree_tried, strict=True), start=1):
            for rank, counts in enumerate(zip(accepted, tried, strict=True)):
                for key in ((depth, rank), (0, rank)):
                    total = self._by_rank.setdefault(key, [0, 0])
                    total[0], total[1] = total[0] + counts[0], total[1] + counts[1]
