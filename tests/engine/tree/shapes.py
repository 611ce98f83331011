"""Every tree shape of a size."""

from collections.abc import Iterator
from functools import cache

from engine.tree.token_tree import TokenTree


def all_trees(num_nodes: int, max_depth: int, max_width: int) -> Iterator[TokenTree]:
    """Every ordered tree of num_nodes nodes below the root, at most max_depth deep and max_width children a node."""
    for nodes in _forests(num_nodes, max_depth, max_width, 0):
        yield TokenTree(tuple(sorted(nodes, key=lambda node: (len(node), node))))


@cache
def _forests(num_nodes: int, depth: int, width: int, rank: int) -> tuple[tuple[tuple[int, ...], ...], ...]:
    """The ways to hang num_nodes nodes below one node as its children of rank `rank`, rank + 1, ..."""
    if num_nodes == 0:
        return ((),)
    if depth == 0 or rank == width:
        return ()
    found = []
    for below in range(num_nodes):
        for inside in _forests(below, depth - 1, width, 0):
            child = ((rank,), *((rank, *node) for node in inside))
            found += [child + rest for rest in _forests(num_nodes - 1 - below, depth, width, rank + 1)]
    return tuple(found)


# Children of the nodes of Medusa's published tree for a 7B model (mc_sim_7b_63): 63 nodes, 10 + 28 + 23 + 2 by depth.
MEDUSA_CHILDREN = {
    **{(): 10, (0,): 10, (1,): 7, (2,): 3, (3,): 2, (4,): 1, (5,): 1, (6,): 1, (7,): 1, (8,): 1, (9,): 1},
    **{(0, 0): 10, (0, 1): 3, (0, 2): 2, (0, 3): 1, (0, 4): 1, (0, 5): 1, (0, 6): 1, (0, 7): 1, (1, 0): 2, (2, 0): 1},
    (0, 0, 0): 2,
}
MEDUSA_63 = str([(*parent, rank) for parent, count in MEDUSA_CHILDREN.items() for rank in range(count)])

# The shapes under which every method that drafts trees must stay lossless, as values of speculative_token_tree.
STATIC_SHAPES = {
    "chain": str(TokenTree.chain(4)),
    "wide": "[(0,), (1,), (2,), (3,)]",
    "binary": str(TokenTree.from_widths([2, 2, 2])),
    "ragged": "[(0,), (1,), (0, 0), (0, 1), (1, 0), (0, 1, 0), (0, 1, 1), (0, 1, 0, 0)]",
    "medusa": MEDUSA_63,
}
