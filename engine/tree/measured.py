"""What counters of past drafts say a node's acceptance is, also of nodes that were never drafted: for `best_first`."""

from collections.abc import Sequence
from functools import cache

from engine.stats import SpecDecodingStats
from engine.tree.best_first import Acceptance
from engine.tree.literal import Node
from engine.tree.token_tree import TokenTree

PRIOR_DRAFTS = 4.0  # a node's own count weighs as much as its depth's and rank's when its parent was reached so often
FIRST, NEXT_RANK = 0.5, 0.5  # nothing measured: of a first child; of a child relative to the sibling before it


def unmeasured(node: Node) -> float:
    """A tree to begin with."""
    return FIRST * NEXT_RANK ** node[-1]


def measured(tree: TokenTree, stats: SpecDecodingStats) -> Acceptance:
    """From the counters of a run that drafted `tree`: accepted / drafts that reached the parent, drawn towards the
    acceptance of the same depth and rank, which stands alone for nodes that are not in the tree.

    "Reached" counts the drafts that had no such node too, so the product along a path is the share of drafts in which
    it was accepted, whatever a method leaves empty.
    """
    counts = [*stats.node_accepted, *[0] * (len(tree) - len(stats.node_accepted))]
    accepted = dict(zip(tree.nodes, counts, strict=True))
    by_rank = _by_depth_and_rank(stats.acceptance_by_depth_and_rank())

    def acceptance(node: Node) -> float:
        guess = by_rank(node)
        if node not in accepted:
            return guess
        reached = accepted[node[:-1]] if len(node) > 1 else stats.num_drafts
        return (accepted[node] + PRIOR_DRAFTS * guess) / (reached + PRIOR_DRAFTS)

    return acceptance


def _by_depth_and_rank(table: Sequence[Sequence[float | None]]) -> Acceptance:
    """table[depth - 1][rank]; deeper levels as the deepest one, further ranks as half the rank before."""

    @cache
    def chance(depth: int, rank: int) -> float:
        row = table[depth - 1] if depth else []
        found = row[rank] if rank < len(row) else None
        if found is not None:
            return found
        return NEXT_RANK * chance(depth, rank - 1) if rank else FIRST

    return lambda node: chance(min(len(node), len(table)), node[-1])
