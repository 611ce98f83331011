"""Trees outside of what the sampler draws: grown best-first from the acceptance that a method's first trees had.

A grown tree is a trial like any other, enqueued with its literal. In the sampler's eyes it stands at the point of the
family that is nearest to it, so that a good one draws the search there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from autotune.dimension import METHOD
from autotune.metrics import NODE_SHARES
from autotune.space import Space
from autotune.study.ledger import FIXED, Ledger
from autotune.tree_dimension import TreeDimension
from autotune.trial import Trial
from engine.errors import ConfigError
from engine.stats import SpecDecodingStats
from engine.tree.best_first import Acceptance, best_first
from engine.tree.literal import MAX_NODES
from engine.tree.measured import Measured
from engine.tree.token_tree import TokenTree

GROWN = "grown"
"""Of a trial with such a tree: its method."""


class Growth:
    """Proposes the grown trees of every method once. They follow from the method's first measured tree alone, so a
    resumed study and another worker propose the same ones.
    """

    def __init__(self, ledger: Ledger, space: Space) -> None:
        self._ledger, self._space = ledger, space
        self._waiting = trees(space)

    def propose(self, finished: Sequence[Trial]) -> None:
        for owner, tree in list(self._waiting.items()):
            first = _first_tree(finished, tree)
            if first is None:
                continue
            for grown in _grown(first, tree):
                values = {tree.path: str(grown), tree.tokens: grown.depth}
                self._ledger.propose(_near(self._space, tree, first, grown), {FIXED: values, GROWN: owner})
            del self._waiting[owner]


def _first_tree(finished: Sequence[Trial], tree: TreeDimension) -> Trial | None:
    """The method's first trial that drafted trees."""
    own = (trial for trial in finished if trial.parameters.get(METHOD, tree.owner) == tree.owner)
    measured = (trial for trial in own if trial.parameters.get(tree.path) and trial.metrics.get(NODE_SHARES))
    return min(measured, key=lambda trial: trial.number, default=None)


def _grown(first: Trial, tree: TreeDimension) -> list[TokenTree]:
    """Of as many nodes as the search allows, and of half of them."""
    guess = acceptance_of(first, tree.path).guess
    within = _within(tree.max_depth, guess)
    found = {str(each): each for size in (tree.max_nodes, tree.max_nodes // 2) if (each := _grow(within, size))}
    return list(found.values())


def trees(space: Space) -> dict[str, TreeDimension]:
    """The trees that are searched, by method; the name is empty where one method is searched."""
    return {tree.owner: tree for tree in _trees(space)}


def _trees(space: Space) -> Iterator[TreeDimension]:
    for dimension in space.dimensions:
        if isinstance(dimension, TreeDimension):
            yield dimension
        for branch in getattr(dimension, "branches", {}).values():
            yield from _trees(branch)


def acceptance_of(trial: Trial, path: str) -> Measured:
    """From the record of a trial that drafted trees. A draft that had no such node counts as one that rejected it."""
    tree = TokenTree.parse(str(trial.parameters[path]), MAX_NODES)
    drafts = int(trial.metrics.get("num_drafts") or 0)
    shares = [share or 0.0 for share in trial.metrics[NODE_SHARES]]
    accepted = [round(share * drafts) for share in (*shares, *[0.0] * (len(tree) - len(shares)))]
    stats = SpecDecodingStats(tree.depth, drafts, node_accepted=accepted)
    by_node = dict(zip(tree.nodes, accepted, strict=True))
    for node in tree.nodes:
        for table, count in (
            (stats.tree_tried, by_node.get(node[:-1], drafts)),
            (stats.tree_accepted, by_node[node]),
        ):
            _count(table, len(node) - 1, node[-1], count)
    return Measured([(tree, stats)])


def _count(table: list[list[int]], depth: int, rank: int, count: int) -> None:
    table += [[] for _ in range(depth + 1 - len(table))]
    table[depth] += [0] * (rank + 1 - len(table[depth]))
    table[depth][rank] += count


def _within(depth: int, acceptance: Acceptance) -> Acceptance:
    return lambda node: acceptance(node) if len(node) <= depth else 0.0


def _grow(acceptance: Acceptance, num_nodes: int) -> TokenTree | None:
    """None where it is no tree but a chain, or nothing is ever accepted."""
    try:
        tree = best_first(acceptance, num_nodes)
    except ConfigError:
        return None
    return None if tree.is_chain else tree


def _near(space: Space, tree: TreeDimension, first: Trial, grown: TokenTree) -> dict[str, Any]:
    """The point that stands for a grown tree; the method's other keys are those of its first tree."""
    near = TokenTree.from_widths(tree.nearest(grown))
    return space.coordinates({**first.parameters, tree.path: str(near), tree.tokens: near.depth})
