"""Configurations of which none is better in everything: their factors in two objectives, the chosen one marked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from autotune.console import words
from autotune.report.charts.chart import (
    BLUE,
    GREEN,
    GREY,
    PALE,
    Chart,
    bars,
    factors,
    figure,
    line_at_one,
    parameters,
)
from autotune.report.data import Run

Point = Mapping[str, Any]


def pareto(run: Run) -> Chart | None:
    """Of the first two objectives; the table has all of them."""
    found = run.details.get("pareto")
    if not found or not found["front"]:
        return None
    names = found["objectives"]
    across, up = names[0], names[min(1, len(names) - 1)]
    layout = {
        "xaxis": factors(f"{said(across)}, better to the right"), "yaxis": factors(f"{said(up)}, better upwards"),
        "shapes": [line_at_one("x"), line_at_one("y")], "showlegend": True, "height": 400,
    }  # fmt: skip
    return Chart(
        "What is given up for what",
        "A blue point is a configuration that no other beats in every objective. Factors over no speculation, above 1 "
        f"is better; from the search's own prompts. {_rule(found)}",
        figure(list(_traces(found, across, up)), layout),
        ("trial", "parameters", *map(said, names), ""),
        [_cells(point, names) for point in found["front"]],
        wide=True,
    )


def objective_rows(run: Run) -> list[dict[str, str]]:
    """Every objective's factor of the chosen configuration on the held-out prompts."""
    return [
        {"name": said(each["name"]), "factor": words.factor(each["factor"]), "bounds": words.bounds(each["interval"])}
        for each in run.details.get("objectives", ())
    ]


def said(objective: str) -> str:
    return objective.replace("_", " ")


def _rule(found: Mapping[str, Any]) -> str:
    rule = str(found.get("rule") or "").rstrip(".")
    return f"How the chosen one was chosen: {rule}." if rule else ""


def _cells(point: Point, names: Sequence[str]) -> list[str]:
    bounds = point.get("intervals") or {}
    factors_ = [f"{words.factor(point['values'].get(n))} {words.bounds(bounds.get(n))}".strip() for n in names]
    return [_name(point), parameters(point["parameters"]), *factors_, "chosen" if point["chosen"] else ""]


def _name(point: Point) -> str:
    """No speculation is a point without a trial."""
    return "no speculation" if point["trial"] is None else str(point["trial"] + 1)


def _traces(found: Mapping[str, Any], across: str, up: str) -> Iterator[dict[str, Any]]:
    front = sorted(found["front"], key=lambda point: point["values"][across])
    if beaten := found.get("dominated"):
        yield _points(beaten, across, up, "beaten", {"color": GREY, "size": 7, "symbol": "circle-open"})
    yield {"type": "scatter", "mode": "lines", "x": [p["values"][across] for p in front],
           "y": [p["values"][up] for p in front], "line": {"color": PALE, "width": 1.4}, "hoverinfo": "skip",
           "showlegend": False}  # fmt: skip
    yield _points(front, across, up, "not beaten", {"color": BLUE, "size": 10}, with_bounds=True)
    if chosen := [point for point in front if point["chosen"]]:
        yield _points(chosen, across, up, "chosen", {"color": GREEN, "size": 15, "symbol": "diamond"})


def _points(
    points: Sequence[Point], across: str, up: str, name: str, marker: Mapping[str, Any], *, with_bounds: bool = False
) -> dict[str, Any]:
    xs, ys = ([point["values"][objective] for point in points] for objective in (across, up))
    errors = {
        f"error_{on}": bars(
            values, [(p.get("intervals") or {}).get(objective) for p in points], thickness=0.8, width=0, color=GREY
        )
        for on, values, objective in (("x", xs, across), ("y", ys, up))
    }
    return {
        "type": "scatter", "mode": "markers", "name": name, "x": xs, "y": ys, "marker": dict(marker),
        "text": [f"{_name(p)}: {parameters(p['parameters'])}" for p in points],
        "hovertemplate": "%{x:.2f}x, %{y:.2f}x<br>%{text}<extra></extra>", **(errors if with_bounds else {}),
    }  # fmt: skip
