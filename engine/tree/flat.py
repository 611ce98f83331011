"""What follows from the parents of a tree's nodes. Plain integers: for static trees once, for dynamic ones in a step.

parents[i] is the parent of node i, -1 the root; parents come before their children (breadth-first order does).
"""

from collections.abc import Sequence

from engine.errors import EngineError
from engine.tree.literal import MAX_NODES


def check_parents(parents: Sequence[int]) -> None:
    """Refuse what is no tree in this order, or has more nodes than a mask has bits."""
    if len(parents) > MAX_NODES:
        raise EngineError(f"a draft tree has {len(parents)} nodes: at most {MAX_NODES}")
    for i, parent in enumerate(parents):
        if not -1 <= parent < i:
            raise EngineError(f"node {i} of a draft tree has the parent {parent}: -1 or a node before it")


def depths(parents: Sequence[int]) -> list[int]:
    """[N] 1 for children of the root. The position of a node is the root's position plus its depth."""
    found: list[int] = []
    for parent in parents:
        found.append(1 if parent < 0 else found[parent] + 1)
    return found


def ranks(parents: Sequence[int]) -> list[int]:
    """[N] how many siblings come before a node."""
    seen: dict[int, int] = {}
    found = []
    for parent in parents:
        found.append(seen.get(parent, 0))
        seen[parent] = found[-1] + 1
    return found


def num_children(parents: Sequence[int]) -> list[int]:
    """[1 + N] of the root, then of every node."""
    counts = [0] * (1 + len(parents))
    for parent in parents:
        counts[1 + parent] += 1
    return counts


def ancestors(parents: Sequence[int]) -> list[int]:
    """[N] 64-bit masks: bit i is set where node i is the node itself or above it. The root needs no bit: all see it."""
    masks: list[int] = []
    for i, parent in enumerate(parents):
        masks.append(1 << i | (masks[parent] if parent >= 0 else 0))
    return masks


def path(parents: Sequence[int], node: int) -> list[int]:
    """The nodes from the root (without it) down to `node`; empty for the root, -1."""
    found = []
    while node >= 0:
        found.append(node)
        node = parents[node]
    return found[::-1]


def retrieval(parents: Sequence[int]) -> list[list[int]]:
    """[leaves][depth] the nodes on the way to every leaf, leaves in the order of the nodes, padded with -1."""
    leaves = [i for i, count in enumerate(num_children(parents)[1:]) if not count]
    paths = [path(parents, leaf) for leaf in leaves]
    longest = max(map(len, paths), default=0)
    return [nodes + [-1] * (longest - len(nodes)) for nodes in paths]
