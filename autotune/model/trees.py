"""Draft trees from the acceptance of children by depth and rank: what any tree over the same drafter would bring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count, takewhile, zip_longest

from autotune.model.acceptance import conditional
from autotune.model.evidence import Evidence

Nodes = tuple[tuple[int, ...], ...]
"""Ranks from the root to each node."""
FADES = 0.4
"""The chance of a rank that was never drafted, in parts of the rank before it."""


@dataclass(frozen=True)
class Table:
    """`chances` [depth - 1][rank] of a child once its parent was accepted; `seen` alike: how many said so."""

    chances: tuple[tuple[float, ...], ...]
    seen: tuple[tuple[int, ...], ...]

    def chance(self, depth: int, rank: int) -> tuple[float, bool]:
        """Of a child at `depth` >= 1, and whether it was measured. Deeper ones are as the deepest measured; further
        ranks fade, and never take more than the ranks before leave.
        """
        row = self.chances[min(depth, len(self.chances)) - 1]
        if rank < len(row):
            return row[rank], depth <= len(self.chances)
        left = max(0.0, 1 - sum(row))
        return min(left, row[-1] * FADES ** (rank - len(row) + 1)), False

    def expected(self, nodes: Nodes) -> tuple[float, float]:
        """Accepted tokens of a draft with these nodes, and how many of them rest on chances that nobody measured."""
        total = guessed = 0.0
        for node in nodes:
            reach, known = 1.0, True
            for depth, rank in enumerate(node, start=1):
                each, measured = self.chance(depth, rank)
                reach, known = reach * each, known and measured
            total += reach
            guessed += 0.0 if known else reach
        return total, guessed


def chain(tokens: int) -> Nodes:
    """The nodes of a chain."""
    return tuple((0,) * depth for depth in range(1, tokens + 1))


def table(units: Sequence[Evidence], nodes: Nodes | None) -> Table | None:
    """From the counts of several units that all drafted the tree `nodes`, or chains; None where nothing was drafted.

    A chain tells of first ranks only.
    """
    if nodes is None:
        return _of_chains(units)
    tried, accepted = _sum([unit.tried_nodes for unit in units]), _sum([unit.accepted_nodes for unit in units])
    found: dict[tuple[int, int], list[int]] = {}
    for node, *counts in zip(sorted(nodes, key=lambda node: (len(node), node)), tried, accepted, strict=False):
        total = found.setdefault((len(node), node[-1]), [0, 0])
        total[0], total[1] = total[0] + counts[0], total[1] + counts[1]
    return _rows({place: (taken / times, times) for place, (times, taken) in found.items() if times})


def _of_chains(units: Sequence[Evidence]) -> Table | None:
    known = conditional(_sum([unit.drafted for unit in units]), _sum([unit.accepted for unit in units]))
    return _rows(
        {(depth, 0): (each.mean, round(each.tried)) for depth, each in enumerate(known, start=1) if each.tried}
    )


def _rows(found: Mapping[tuple[int, int], tuple[float, int]]) -> Table | None:
    """Depths and ranks as far as they are known without a hole."""
    chances, seen, depth = [], [], 1
    while (depth, 0) in found:
        ranks = list(takewhile(lambda rank, at=depth: (at, rank) in found, count()))  # type: ignore[misc]
        chances.append(tuple(found[depth, rank][0] for rank in ranks))
        seen.append(tuple(found[depth, rank][1] for rank in ranks))
        depth += 1
    return Table(tuple(chances), tuple(seen)) if chances else None


def _sum(rows: Sequence[Sequence[int]]) -> list[int]:
    return [sum(each) for each in zip_longest(*rows, fillvalue=0)]
