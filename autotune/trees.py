"""The token tree of a configuration, with what was measured of its nodes: for the terminal and the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autotune.metrics import ACCEPTED_NODES, NODE_SHARES

FIELD = "speculative_token_tree"


@dataclass(frozen=True)
class MeasuredTree:
    """parents, ranks, depths, literal of a `TokenTree`, breadth-first.

    rates[i] is the share accepted of the drafts that reached node i's parent and had such a node; None where there was
    none. shares[i] is the part of all drafts in which the path to node i was accepted.
    """

    literal: str
    parents: Sequence[int]
    ranks: Sequence[int]
    depths: Sequence[int]
    rates: Sequence[float | None]
    shares: Sequence[float | None]

    @property
    def words(self) -> str:
        return f"tree of {len(self.parents)} nodes, {max(self.depths)} deep"

    def draw(self) -> str:
        """As text: a node's rank, and its rate where it is known."""
        from engine.tree.drawing import draw

        known = ["" if rate is None else f"  {100 * rate:.0f} %" for rate in self.rates]
        return draw(self.parents, [f"{rank}{rate}" for rank, rate in zip(self.ranks, known, strict=True)])


def tree_of(config: Mapping[str, Any] | None, metrics: Mapping[str, Any]) -> MeasuredTree | None:
    """Of a speculative config; None where it drafts chains, or names something that is no tree."""
    from engine.errors import ConfigError
    from engine.tree.literal import MAX_NODES
    from engine.tree.token_tree import TokenTree

    text = (config or {}).get(FIELD)
    if text is None:
        return None
    try:
        tree = TokenTree.parse(text, MAX_NODES)
    except ConfigError:
        return None
    rates, shares = (_padded(metrics.get(name) or [], len(tree)) for name in (ACCEPTED_NODES, NODE_SHARES))
    return MeasuredTree(text, tree.parents, tree.ranks, tree.depths, rates, shares)


def _padded(values: Sequence[float | None], length: int) -> list[float | None]:
    """Of the last nodes nothing is counted where none of them was ever drafted."""
    return [*values[:length], *[None] * (length - len(values))]


def with_depth(config: dict[str, Any]) -> dict[str, Any]:
    """num_speculative_tokens is the depth of the tree where it is not given; the engine refuses what is no tree."""
    tree = tree_of(config, {}) if "num_speculative_tokens" not in config else None
    return config if tree is None else {**config, "num_speculative_tokens": max(tree.depths)}


def shortened(name: str, value: Any) -> Any:
    """A parameter's value for a table or a line of text: a tree by its size."""
    tree = tree_of({FIELD: value}, {}) if name.endswith(FIELD) and isinstance(value, str) else None
    return value if tree is None else tree.words
