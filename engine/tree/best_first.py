"""The tree that a measured acceptance asks for: the likeliest nodes first.

A node's worth is the chance that the whole path to it is accepted. The expected number of accepted tokens is the sum of
the worths of a tree's nodes, so where worths fall with rank, taking the best node again and again makes the best
tree of any size (the trees of Medusa and Sequoia are found like this).
"""

import heapq
from collections.abc import Callable, Sequence
from math import prod

from engine.errors import ConfigError
from engine.tree.literal import MAX_NODES, Node
from engine.tree.token_tree import TokenTree

Acceptance = Callable[[Node], float]  # chance that a node is accepted once its parent was; 0 where it cannot be drafted


def by_depth_and_rank(table: Sequence[Sequence[float]]) -> Acceptance:
    """Acceptance from table[depth - 1][rank]: measured over all nodes of that depth and rank together."""
    for depth, row in enumerate(table):
        if any(not 0 <= chance <= 1 for chance in row) or sum(row) > 1 + 1e-9:
            raise ConfigError(
                f"acceptance at depth {depth + 1} is {list(row)}: chances from 0 to 1 that sum to at most 1"
            )

    def chance(node: Node) -> float:
        depth, rank = len(node) - 1, node[-1]
        return table[depth][rank] if depth < len(table) and rank < len(table[depth]) else 0.0

    return chance


def best_first(acceptance: Acceptance, num_nodes: int) -> TokenTree:
    """The tree of the num_nodes likeliest nodes; of fewer where no further node has a chance. Raises ConfigError."""
    if not 1 <= num_nodes <= MAX_NODES:
        raise ConfigError(f"a tree of {num_nodes} nodes is not allowed: 1 to {MAX_NODES}")
    taken: list[Node] = []
    frontier: list[tuple[float, Node]] = [(-acceptance((0,)), (0,))]
    while len(taken) < num_nodes and frontier and frontier[0][0] < 0:
        worth, node = heapq.heappop(frontier)
        taken.append(node)
        child, sibling = (*node, 0), (*node[:-1], node[-1] + 1)
        heapq.heappush(frontier, (worth * acceptance(child), child))
        heapq.heappush(frontier, (-_worth(sibling, acceptance), sibling))
    if not taken:
        raise ConfigError("acceptance of the likeliest first token is 0: no tree can be made from it")
    return TokenTree(tuple(sorted(taken, key=lambda node: (len(node), node))))


def expected_accepted(tree: TokenTree, acceptance: Acceptance) -> float:
    """Drafted tokens accepted in a step on average; a step emits one more."""
    return sum(_worth(node, acceptance) for node in tree.nodes)


def _worth(node: Node, acceptance: Acceptance) -> float:
    return prod(acceptance(node[: depth + 1]) for depth in range(len(node)))
