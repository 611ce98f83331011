"""A tree as text, for logs: one line a node."""

from collections.abc import Sequence


def draw(parents: Sequence[int], labels: Sequence[str], root: str = "root") -> str:
    """Labels of the nodes (ranks, tokens, chances) below each other, children indented under their parent."""
    children: list[list[int]] = [[] for _ in range(1 + len(parents))]
    for node, parent in enumerate(parents):
        children[1 + parent].append(node)
    return "\n".join([root, *_below(-1, children, labels, "")])


def _below(node: int, children: Sequence[Sequence[int]], labels: Sequence[str], margin: str) -> list[str]:
    lines = []
    for child in children[1 + node]:
        is_last = child == children[1 + node][-1]
        lines.append(f"{margin}{'└─ ' if is_last else '├─ '}{labels[child]}")
        lines += _below(child, children, labels, margin + ("   " if is_last else "│  "))
    return lines
