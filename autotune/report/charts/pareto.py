"""Configurations of which none is better in everything: their factors in two objectives, the chosen one marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autotune.console import words
from autotune.report.charts.chart import BLUE, GREEN, PALE, Chart, factors, figure, line_at_one, parameters
from autotune.report.data import Run


def pareto(run: Run) -> Chart | None:
    """Of the first two objectives; the table has all of them."""
    found = run.details.get("pareto")
    if not found or not found["front"]:
        return None
    names = found["objectives"]
    across, up = names[0], names[min(1, len(names) - 1)]
    front = sorted(found["front"], key=lambda point: point["values"][across])
    traces = [_front(front, across, up), *(_chosen(point, across, up) for point in front if point["chosen"])]
    layout = {
        "xaxis": factors(f"{said(across)}, better to the right"), "yaxis": factors(f"{said(up)}, better upwards"),
        "shapes": [line_at_one("x"), line_at_one("y")], "showlegend": True,
    }  # fmt: skip
    return Chart(
        "What is given up for what",
        f"Each point is a configuration that no other beats in every objective; factors over no speculation, above 1 "
        f"is better. {_rule(found)}",
        figure(traces, layout),
        ("trial", "parameters", *map(said, names), ""),
        [
            [str(p["trial"] + 1), parameters(p["parameters"]), *(words.factor(p["values"].get(n)) for n in names),
             "chosen" if p["chosen"] else ""]
            for p in front
        ],
        wide=True,
    )  # fmt: skip


def said(objective: str) -> str:
    return objective.replace("_", " ")


def _rule(found: Mapping[str, Any]) -> str:
    rule = str(found.get("rule") or "").rstrip(".")
    return f"The chosen one: {rule}." if rule else ""


def _front(front: Sequence[Mapping[str, Any]], across: str, up: str) -> dict[str, Any]:
    return {
        "type": "scatter", "mode": "lines+markers", "name": "not beaten", "x": [p["values"][across] for p in front],
        "y": [p["values"][up] for p in front], "line": {"color": PALE, "width": 1.4},
        "marker": {"color": BLUE, "size": 10},
        "text": [f"trial {p['trial'] + 1}: {parameters(p['parameters'])}" for p in front],
        "hovertemplate": "%{x:.2f}x, %{y:.2f}x<br>%{text}<extra></extra>",
    }  # fmt: skip


def _chosen(point: Mapping[str, Any], across: str, up: str) -> dict[str, Any]:
    return {
        "type": "scatter", "mode": "markers", "name": "chosen", "x": [point["values"][across]],
        "y": [point["values"][up]], "marker": {"color": GREEN, "size": 15, "symbol": "diamond"},
        "hovertemplate": "chosen: %{x:.2f}x, %{y:.2f}x<extra></extra>",
    }  # fmt: skip
