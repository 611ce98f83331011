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
