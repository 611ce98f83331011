"""The search in the order in which it went: every trial's factor with its interval, the best so far, and the confirmed
number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from autotune.console import words
from autotune.report.charts.chart import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    RED,
    VIOLET,
    Chart,
    axis,
    bars,
    factors,
    figure,
    line_at_one,
    parameters,
)
from autotune.report.data import Run

STATUSES = {
    "complete": (BLUE, "circle"), "pruned": (ORANGE, "triangle-down"), "invalid": (VIOLET, "x"),
    "infeasible": (GREY, "square"), "failed": (RED, "cross"),
}  # fmt: skip
HELD_OUT = "held out"
Trial = Mapping[str, Any]


def history(run: Run) -> Chart | None:
    """None where nothing was measured."""
    measured = run.measured
    if not measured:
        return None
    order = [*(str(trial["number"] + 1) for trial in measured), HELD_OUT]
    layout = {
        "xaxis": axis("trial", type="category", categoryorder="array", categoryarray=order),
        "yaxis": factors(f"{run.measurement.quantity} over no speculation"),
        "shapes": [line_at_one("y")],
        "showlegend": True,
    }
    return Chart(
        "Every trial, in order",
        _caption(run),
        figure(list(_traces(run, measured)), layout),
        ("trial", "parameters", run.measurement.quantity, "interval", "status"),
        [
            [str(t["number"] + 1), parameters(t["parameters"]), words.factor(t["speedup"]),
             words.bounds(t["interval"]), t["status"]]
            for t in measured
        ],
        wide=True,
    )  # fmt: skip


def _caption(run: Run) -> str:
    left_out = sum(trial["status"] == "predicted" for trial in run.trials)
    skipped = f" Not measured because the model said that it could not win: {left_out}." if left_out else ""
    return (
        "A point is one configuration against no speculation on the same prompts, the bar its interval, the line the "
        f"best so far. Trials that were clearly worse stopped early.{skipped}"
    )


def _traces(run: Run, measured: Sequence[Trial]) -> Iterator[dict[str, Any]]:
    if (best := _best_so_far(measured)) is not None:
        yield best
    for status in STATUSES:
        chosen = [trial for trial in measured if trial["status"] == status]
        if chosen:
            yield _points(chosen, status)
    if run.best["speedup"] is not None and run.best["command"] == "tune":
        yield _confirmed(run)


def _best_so_far(measured: Sequence[Trial]) -> dict[str, Any] | None:
    """Of the trials that were measured to the end and keep every limit; None where one line would be one point."""
    steps: list[tuple[str, float]] = []
    for trial in measured:
        own = [trial["speedup"]] if trial["status"] == "complete" else []
        highest = max([*own, *(value for _, value in steps[-1:])], default=None)
        if highest is not None:
            steps.append((str(trial["number"] + 1), highest))
    if len(steps) < 2:
        return None
    places, values = zip(*steps, strict=True)
    return {"type": "scatter", "mode": "lines", "name": "best so far", "x": places, "y": values, "hoverinfo": "skip",
            "line": {"color": INK, "width": 1.2, "shape": "hv"}}  # fmt: skip


def _points(trials: Sequence[Trial], status: str) -> dict[str, Any]:
    colour, symbol = STATUSES[status]
    values = [trial["speedup"] for trial in trials]
    return {
        "type": "scatter", "mode": "markers", "name": status, "x": [str(t["number"] + 1) for t in trials],
        "y": values, "marker": {"color": colour, "size": 9, "symbol": symbol},
        "error_y": bars(values, [trial["interval"] for trial in trials]),
        "text": [parameters(t["parameters"]) for t in trials],
        "hovertemplate": "%{y:.2f}x<br>%{text}<extra>trial %{x}</extra>",
    }  # fmt: skip


def _confirmed(run: Run) -> dict[str, Any]:
    value = run.best["speedup"]
    return {
        "type": "scatter", "mode": "markers", "name": "held-out prompts", "x": [HELD_OUT], "y": [value],
        "marker": {"color": GREEN, "size": 13, "symbol": "diamond"},
        "error_y": bars([value], [run.interval], thickness=2, width=6),
        "hovertemplate": "%{y:.2f}x on held-out prompts<extra></extra>",
    }  # fmt: skip
