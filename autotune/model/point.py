"""Configurations as the model sees them: the method, the shape of its drafts, other knobs on scales from 0 to 1."""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autotune.model.physics import Shape
from autotune.model.trees import Nodes

TOKENS, TREE = "num_speculative_tokens", "speculative_token_tree"
CHILDREN, BUDGET = "dynamic_tree_topk", "dynamic_tree_num_draft_tokens"
DEFAULT_CHILDREN, DEFAULT_BUDGET = 10, 59  # of a tree that grows, where only the other of the two is given
SHAPES = (f"method.{TOKENS}", f"method.{TREE}", "method")


@dataclass(frozen=True)
class Point:
    """`others` are the searched knobs besides the shape, by path."""

    method: str
    shape: Shape
    others: Mapping[str, Any]


def point(parameters: Mapping[str, Any], config: Mapping[str, Any] | None) -> Point | None:
    """`config` is the whole speculative config with `parameters` in place; None where it drafts no fixed shape."""
    if not config:
        return None
    nodes = _nodes(config.get(TREE))
    tokens = config.get(TOKENS)
    if nodes is None and not isinstance(tokens, int):
        return None
    tokens = tokens if isinstance(tokens, int) else 0
    shape = Shape(tokens, nodes, _budget(config, tokens) if nodes is None else None)
    others = {path: value for path, value in parameters.items() if path not in SHAPES}
    return Point(str(parameters.get("method", config.get("method"))), shape, others)


def _budget(config: Mapping[str, Any], tokens: int) -> int | None:
    """Nodes of a tree that grows in every step; a tree of one level has no more than a node's children."""
    children, budget = config.get(CHILDREN), config.get(BUDGET)
    if children is None and budget is None:
        return None
    most = DEFAULT_BUDGET if budget is None else int(budget)
    return min(most, int(children or DEFAULT_CHILDREN)) if tokens == 1 else most


def _nodes(literal: Any) -> Nodes | None:
    """The nodes of a tree's literal; the engine has the last word on whether it is one."""
    if not isinstance(literal, str):
        return None
    return tuple(tuple(node) for node in ast.literal_eval(literal))


class Scales:
    """Distances between the knobs of two points, each from 0 to 1 over the values that are searched."""

    def __init__(self, points: Sequence[Point], log_paths: frozenset[str] = frozenset()) -> None:
        self._log = log_paths
        self._ranges: dict[str, tuple[float, float]] = {}
        for each in points:
            for path, value in each.others.items():
                place = self._place(path, value)
                if place is not None:
                    low, high = self._ranges.get(path, (place, place))
                    self._ranges[path] = (min(low, place), max(high, place))

    def apart(self, one: Point, other: Point) -> dict[str, float]:
        """By path, where they differ."""
        paths = one.others.keys() | other.others.keys()
        return {path: far for path in sorted(paths) if (far := self._far(path, one, other))}

    def _far(self, path: str, one: Point, other: Point) -> float:
        left, right = one.others.get(path), other.others.get(path)
        if left == right:
            return 0.0
        a, b = self._place(path, left), self._place(path, right)
        low, high = self._ranges.get(path, (0.0, 0.0))
        return 1.0 if a is None or b is None or low == high else min(1.0, abs(a - b) / (high - low))

    def _place(self, path: str, value: Any) -> float | None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        return math.log(value) if path in self._log and value > 0 else float(value)
