"""A draft tree searched as structure: its depth and its width at every depth, narrower from depth to depth.

What is drawn for a width is cut to what the tree has room for, so that every point is a tree of at most `max_nodes`
nodes. Depth 0 is no tree, a chain, and only there a number of tokens is drawn: a tree's depth is its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from autotune.dimension import Dimension, Outside, Parameters, Suggest
from autotune.errors import UsageError, nearest
from engine.errors import ConfigError
from engine.tree.best_first import expected_accepted
from engine.tree.literal import MAX_NODES, Node
from engine.tree.measured import unmeasured
from engine.tree.token_tree import TokenTree

KIND = "tree"
LIMITS = {"max_depth": 4, "max_width": 4, "max_nodes": 16}
Widths = tuple[int, ...]


@dataclass(frozen=True)
class TreeDimension:
    """`tokens` is the key of a chain's length, `chain` its search; None: a chain is as long as it is configured."""

    path: str
    tokens: str
    max_depth: int
    max_width: int
    max_nodes: int
    chain: Dimension | None = None
    owner: str = ""

    @property
    def depth(self) -> Dimension:
        return Dimension(f"{self.path}.depth", "int", 0, self.max_depth, owner=self.owner)

    @property
    def widths(self) -> list[Dimension]:
        """Of every node at depth 1, at depth 2, ...; at the root a single child would be a chain."""
        lows = [2] + [1] * (self.max_depth - 1)
        return [
            Dimension(f"{self.path}.width_{depth}", "int", low, self.max_width, owner=self.owner)
            for depth, low in enumerate(lows, start=1)
        ]

    @property
    def parts(self) -> tuple[Dimension, ...]:
        return (self.depth, *self.widths, *((self.chain,) if self.chain else ()))

    @property
    def size(self) -> int | None:
        chains = self.chain.size if self.chain else 1
        return None if chains is None else chains + len(self.family)

    def draw(self, suggest: Suggest, found: Parameters, defaults: Mapping[str, Any]) -> None:
        depth = suggest(self.depth)
        if depth:
            widths = self._fitting(depth, lambda at: suggest(self.widths[at]))
            found |= {self.path: str(TokenTree.from_widths(widths)), self.tokens: depth}
        else:
            found |= {self.path: None, self.tokens: defaults[self.tokens]}
            if self.chain:
                self.chain.draw(suggest, found, defaults)

    def locate(self, values: Mapping[str, Any]) -> dict[str, Any]:
        literal = values[self.path]
        if literal is None:
            return {self.depth.coordinate: 0, **(self.chain.locate(values) if self.chain else {})}
        widths = self.family.get(_tree(literal).nodes)
        if widths is None:
            raise Outside(self.path, literal, str(self), self.owner)
        return self._at(widths)

    def nearest(self, tree: TokenTree) -> Widths:
        """Of the family's tree that stands for one outside of it: as deep, each depth as wide as its widest node, as
        far as there is room.
        """
        children = [max((1 + node[-1] for node in tree.nodes if len(node) == depth + 1), default=1)
                    for depth in range(min(tree.depth, self.max_depth))]  # fmt: skip
        return self._fitting(len(children), lambda at: children[at])

    def points(self) -> Iterator[dict[str, Any]]:
        chains = self.chain.points() if self.chain else [{}]
        yield from ({self.depth.coordinate: 0, **chain} for chain in chains)
        yield from map(self._at, self.family.values())

    def starts(self, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        """As configured; and the tree that promises most before anything is measured, which is wide enough to tell how
        often second and third choices are accepted.
        """
        probe = max(self.family, key=lambda nodes: expected_accepted(TokenTree(nodes), unmeasured))
        points = [self.locate(values), self._at(self.family[probe])]
        return points if points[0] != points[1] else points[:1]

    def simplicity(self, values: Mapping[str, Any]) -> tuple[float, ...]:
        """Chains first, the shorter the simpler; then trees by depth and nodes."""
        literal = values[self.path]
        return (0.0 if literal is None else 1.0, values[self.tokens] or 0, len(_tree(literal)) if literal else 0)

    @cached_property
    def family(self) -> dict[tuple[Node, ...], Widths]:
        """Every tree that can be drawn, by its nodes."""
        found: list[Widths] = [()]
        family: list[Widths] = []
        while found:
            longer = [(*widths, width) for widths in found for width in range(1, self.max_width + 1)]
            found = [widths for widths in longer if self._fits(widths)]
            family += found
        return {TokenTree.from_widths(widths).nodes: widths for widths in family}

    def _fits(self, widths: Widths) -> bool:
        return len(widths) <= self.max_depth and widths == self._fitting(len(widths), lambda at: widths[at])

    def _fitting(self, depth: int, wanted: Callable[[int], int]) -> Widths:
        """The wanted widths, none above the one before it, and none that leaves no room for a node under every leaf."""
        fitting: list[int] = []
        nodes, level, before = 0, 1, self.max_width
        for at in range(depth):
            room = (self.max_nodes - nodes) // (level * (depth - at))
            before = max(2 if at == 0 else 1, min(wanted(at), before, room))
            fitting.append(before)
            level *= before
            nodes += level
        return tuple(fitting)

    def _at(self, widths: Widths) -> dict[str, Any]:
        drawn = {each.coordinate: width for each, width in zip(self.widths, widths, strict=False)}
        return {self.depth.coordinate: len(widths), **drawn}

    def __str__(self) -> str:
        return f"trees up to {self.max_depth} deep, {self.max_width} wide, of {self.max_nodes} nodes, or null, a chain"


def parse_tree(path: str, block: Mapping[str, Any], tokens: str, chain: Dimension | None, owner: str) -> TreeDimension:
    """From {"tree": {"max_depth": 4, "max_width": 4, "max_nodes": 16}}, each with a default."""
    where, limits = f"search of {path}", block[KIND]
    if len(block) > 1 or not isinstance(limits, Mapping):
        raise UsageError(f"{where} is {dict(block)!r}; it must be like {{tree: {{max_depth: 4, max_nodes: 16}}}}")
    for key, value in limits.items():
        if key not in LIMITS:
            raise UsageError(f"unknown key {key!r} in the {where}; {nearest(str(key), list(LIMITS))}")
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise UsageError(f"{where} has {key} {value!r}; it must be a whole number of at least 1")
    depth, width, nodes = ({**LIMITS, **limits}[key] for key in LIMITS)
    if width < 2:
        raise UsageError(f"{where} has max_width {width}; a tree has at least 2 children somewhere")
    if not 2 * depth <= nodes <= MAX_NODES:
        raise UsageError(
            f"{where} has max_nodes {nodes}; a tree {depth} deep with two branches needs {2 * depth}, "
            f"and more than {MAX_NODES} are never verified"
        )
    return TreeDimension(path, tokens, depth, width, nodes, chain, owner)


def _tree(literal: Sequence[Node] | str) -> TokenTree:
    try:
        return TokenTree.parse(str(literal), MAX_NODES)
    except ConfigError as error:
        raise UsageError(str(error)) from error
