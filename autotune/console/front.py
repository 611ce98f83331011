"""The Pareto front on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from autotune.console import words


def front_table(pareto: Mapping[str, Any]) -> Table:
    """The points that no other beats, with their factors on the search's prompts."""
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for title in ("on the front of the search", *pareto["objectives"], ""):
        table.add_column(title, justify="right" if title in pareto["objectives"] else "left")
    for point in pareto["front"]:
        factors = [words.factor(point["values"][name]) for name in pareto["objectives"]]
        table.add_row(_name(point), *factors, "← taken" if point["chosen"] else "")
    return table


def _name(point: Mapping[str, Any]) -> str:
    if point["trial"] is None:
        return "no speculation"
    return f"trial {point['trial'] + 1}: " + "  ".join(f"{key}={value}" for key, value in point["parameters"].items())
