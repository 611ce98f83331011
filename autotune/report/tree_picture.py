"""A token tree as inline SVG: a column a depth, the likeliest child on a line with its parent, its siblings below."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from autotune.report.data import Run
from autotune.trees import MeasuredTree, tree_of

WIDTH, ROW, TOP, LEFT, RADIUS = 1000, 24, 34, 44, 8
WIDEST = 230  # of a column
THIN, THICK = 1.0, 9.0
PALE, DEEP, UNKNOWN = (214, 222, 238), (36, 86, 199), "#ffffff"


@dataclass(frozen=True)
class Picture:
    """`svg` is markup; `text` says the same in characters."""

    title: str
    svg: str
    text: str


def trees(run: Run) -> list[Picture]:
    """The tree of the result first, then the others that the search measured, the best of each."""
    found: dict[str, Picture] = {}
    for title, config, metrics in _configs(run):
        tree = tree_of(config, metrics)
        if tree is not None and tree.literal not in found:
            found[tree.literal] = Picture(f"{title}: {tree.words}", picture(tree), tree.draw())
    return list(found.values())


def _configs(run: Run) -> Iterator[tuple[str, dict[str, Any] | None, dict[str, Any]]]:
    yield "The token tree", run.best["speculative_config"], run.best["all_metrics"]
    for trial in sorted(run.trials, key=lambda trial: -(trial["speedup"] or 0)):
        values = {name.rpartition(".")[2]: value for name, value in trial["parameters"].items()}
        yield f"Trial {trial['number'] + 1}", values, trial["metrics"]


def picture(tree: MeasuredTree) -> str:
    """The thicker a line, the more drafts came that way; the deeper a node's colour, the more of them were accepted."""
    rows = _rows(tree.parents)
    column = min(WIDEST, (WIDTH - LEFT - 50) / max(tree.depths))
    places = [(LEFT + depth * column, TOP + row * ROW) for depth, row in zip(tree.depths, rows, strict=True)]
    width, height = LEFT + max(tree.depths) * column + 50, TOP + (max(rows) + 1) * ROW
    root = (LEFT, TOP)
    lines = [
        _line(places[parent] if parent >= 0 else root, place, share)
        for place, parent, share in zip(places, tree.parents, tree.shares, strict=True)
    ]
    nodes = [_node(i, tree, place) for i, place in enumerate(places)]
    return (
        f'<svg class="tree" viewBox="0 0 {width:.0f} {height:.0f}" style="width:100%;max-width:{width:.0f}px" '
        f'role="img" aria-label="{escape(tree.words)}">{_heads(tree, column)}{"".join(lines)}'
        f'<circle cx="{LEFT}" cy="{TOP}" r="5" fill="#1c2430"><title>the last token</title></circle>'
        f"{''.join(nodes)}</svg>"
    )


def _rows(parents: Sequence[int]) -> list[int]:
    """A row of its own for every leaf, top down in the order of the ranks; a parent's is its first child's."""
    children: list[list[int]] = [[] for _ in range(1 + len(parents))]
    for node, parent in enumerate(parents):
        children[1 + parent].append(node)
    rows, free = [0] * len(parents), 0
    waiting = [(child, False) for child in reversed(children[0])]
    while waiting:
        node, seen = waiting.pop()
        below = children[1 + node]
        if seen:
            rows[node] = rows[below[0]]
        elif below:
            waiting += [(node, True), *((child, False) for child in reversed(below))]
        else:
            rows[node], free = free, free + 1
    return rows


def _heads(tree: MeasuredTree, column: float) -> str:
    return "".join(
        f'<text x="{LEFT + depth * column:.1f}" y="14" class="head">{depth}</text>'
        for depth in range(1, max(tree.depths) + 1)
    )


def _line(start: tuple[float, float], end: tuple[float, float], share: float | None) -> str:
    """A curve that leaves and arrives level."""
    (x, y), (right, below) = start, end
    middle = (x + right) / 2
    width = THIN if share is None else THIN + (THICK - THIN) * share
    return (
        f'<path d="M{x:.1f} {y}C{middle:.1f} {y} {middle:.1f} {below} {right:.1f} {below}" fill="none" '
        f'stroke="{_colour(share)}" stroke-width="{width:.2f}"/>'
    )


def _node(i: int, tree: MeasuredTree, place: tuple[float, float]) -> str:
    (x, y), rate, rank = place, tree.rates[i], tree.ranks[i]
    known = "" if rate is None else f"{100 * rate:.0f} %"
    said = f"rank {rank} at position {tree.depths[i]}"
    said += f": {known} accepted; {100 * (tree.shares[i] or 0):.1f} % of drafts came this far" if known else ""
    fill, ink = UNKNOWN if rate is None else _colour(rate), "#ffffff" if rate and rate > 0.5 else "#1c2430"
    label = f'<text x="{x + RADIUS + 3:.1f}" y="{y - 7}" class="rate">{known}</text>' if known else ""
    return (
        f'<g><title>{said}</title><circle cx="{x:.1f}" cy="{y}" r="{RADIUS}" '
        f'fill="{fill}" stroke="#5b6678" stroke-width=".8"/>'
        f'<text x="{x:.1f}" y="{y + 3.5}" class="rank" style="fill:{ink}">{rank}</text>{label}</g>'
    )


def _colour(share: float | None) -> str:
    if share is None:
        return "#b9c2d3"
    mixed = (round(pale + (deep - pale) * min(1.0, share)) for pale, deep in zip(PALE, DEEP, strict=True))
    return "#" + "".join(f"{part:02x}" for part in mixed)
