"""Two configurations that are as good as each other: which one is taken, and what is said of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from autotune.arms import shown
from autotune.stats import Interval


@dataclass(frozen=True)
class Tie:
    """`taken` and `left` are parameters by path; `between` is the log-ratio of the one that the search had behind over
    the other.
    """

    taken: Mapping[str, Any]
    left: Mapping[str, Any]
    between: Interval
    margin: float
    rule: str

    def to_json(self) -> dict[str, Any]:
        return {
            "taken": shown(self.taken),
            "left": shown(self.left),
            "later_against_earlier": {"speedup": self.between.factor, "interval": self.between.factor_bounds},
            "margin": self.margin,
            "rule": self.rule,
        }

    def sentence(self) -> str:
        taken, left = differing(self.taken, self.left)
        return f"A tie between {taken} and {left}: {self.rule}; the simpler one, {taken}, was taken."


def ties(between: Interval, margin: float, one_kind: bool = False) -> str:
    """Why two configurations are as good as each other; empty where one is better.

    Of one kind, that is of one method and both with trees or without, either costs the same to deploy: the one that
    looks better by more than the margin is taken, shown or not.
    """
    apart = abs(between.factor - 1)
    if abs(between.mean) <= math.log1p(margin):
        return f"they differ by {apart:.1%} on the held-out prompts, less than the {margin:.0%} that matter"
    if between.contains_zero and not one_kind:
        low, high = between.factor_bounds or (float("nan"), float("nan"))
        return f"on the held-out prompts one is {low:.3f} to {high:.3f} times as good as the other"
    return ""


def differing(left: Mapping[str, Any], right: Mapping[str, Any]) -> tuple[str, str]:
    """Both in words, by what they do not share."""
    keys = [key for key in {**left, **right} if left.get(key) != right.get(key)]
    return words({key: left[key] for key in keys if key in left}), words({k: right[k] for k in keys if k in right})


def words(parameters: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in shown(parameters).items()) or "nothing more"
