"""How well the model of cost and acceptance foretold what was then measured, and what it says of a step's cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autotune.console import words
from autotune.report.charts.chart import (
    BLUE,
    CYCLE,
    GREY,
    INK,
    RED,
    Chart,
    axis,
    bars,
    factors,
    figure,
    line_at_one,
    parameters,
)
from autotune.report.data import Run

Pair = Mapping[str, Any]


def prediction(run: Run) -> Chart | None:
    """None where the model was off or had nothing to go on."""
    found = run.details.get("model") or {}
    pairs = found.get("predictions") or []
    if not pairs:
        return None
    ends = [value for pair in pairs for value in (pair["predicted"], pair["measured"])]
    reach = [0.97 * min(ends), 1.03 * max(ends)]
    layout = {
        "xaxis": factors("predicted"), "yaxis": factors("measured"),
        "showlegend": any(not pair["covered"] for pair in pairs),
        "shapes": [{"type": "line", "x0": reach[0], "y0": reach[0], "x1": reach[1], "y1": reach[1],
                    "line": {"color": INK, "width": 1, "dash": "dot"}}],
    }  # fmt: skip
    inside = [_pairs([p for p in pairs if p["covered"] is held], held) for held in (True, False)]
    return Chart(
        "Prediction against measurement",
        f"Every prediction was made before its trial. {_account(found)}",
        figure([trace for trace in inside if trace["x"]], layout),
        ("trial", "parameters", "predicted", "90 % interval", "measured", "interval"),
        [
            [str(p["trial"] + 1), parameters(_short(p["parameters"])), words.factor(p["predicted"]),
             words.bounds(p["interval"]), words.factor(p["measured"]), words.bounds(p["measured_interval"])]
            for p in pairs
        ],
    )  # fmt: skip


def step_costs(run: Run) -> Chart | None:
    """Of the batch that most was measured of, by method."""
    fits = {
        method: max(fit["rest"].values(), key=len)
        for method, fit in ((run.details.get("model") or {}).get("steps") or {}).items()
        if any(len(points) > 1 for points in fit["rest"].values())
    }
    if not fits:
        return None
    layout = {
        "xaxis": axis("rows of the target pass"), "yaxis": axis("steps without speculation"),
        "shapes": [line_at_one("y")], "showlegend": len(fits) > 1,
    }  # fmt: skip
    traces = [_costs(method, points, colour) for (method, points), colour in zip(fits.items(), CYCLE, strict=False)]
    return Chart(
        "What a step costs",
        "The cost of checking drafts, in steps without speculation, by how many rows a step has: one, and one more "
        "for every drafted token. Drafting itself comes on top. Fitted by the model from the trials, "
        "with its standard error.",
        figure(traces, layout),
        ("method", "rows", "cost", "standard error"),
        [
            [method, f"{rows:g}", words.number(cost, 3), words.number(error, 3)]
            for method, points in fits.items()
            for rows, cost, error in points
        ],
    )


def _account(found: Mapping[str, Any]) -> str:
    coverage, error = found.get("coverage"), found.get("mean_abs_log_error")
    missed = "" if error is None else f"On average prediction and measurement lie {100 * error:.1f} % apart; "
    return f"{missed}{words.percent(coverage)} of the 90 % intervals held what was measured."


def _pairs(pairs: Sequence[Pair], held: bool) -> dict[str, Any]:
    across, up = [pair["predicted"] for pair in pairs], [pair["measured"] for pair in pairs]
    colour = BLUE if held else RED
    return {
        "type": "scatter", "mode": "markers", "name": "within the interval" if held else "outside",
        "x": across, "y": up, "marker": {"color": colour, "size": 9, "symbol": "circle" if held else "x"},
        "error_x": bars(across, [p["interval"] for p in pairs], thickness=0.8, width=0, color=GREY),
        "error_y": bars(up, [p["measured_interval"] for p in pairs], thickness=0.8, width=0, color=GREY),
        "text": [f"trial {p['trial'] + 1}: {parameters(_short(p['parameters']))}" for p in pairs],
        "hovertemplate": "predicted %{x:.2f}x, measured %{y:.2f}x<br>%{text}<extra></extra>",
    }  # fmt: skip


def _costs(method: str, points: Sequence[Sequence[float]], colour: str) -> dict[str, Any]:
    rows, costs, errors = zip(*points, strict=True)
    return {
        "type": "scatter", "mode": "lines+markers", "name": method, "x": rows, "y": costs,
        "line": {"color": colour, "width": 2}, "marker": {"color": colour, "size": 7},
        "error_y": {"type": "data", "array": errors, "thickness": 1, "width": 3},
        "hovertemplate": "%{x} rows: %{y:.2f} steps<extra></extra>",
    }  # fmt: skip


def _short(values: Mapping[str, Any]) -> dict[str, Any]:
    """Paths of the record by their last name."""
    return {path.rpartition(".")[2]: value for path, value in values.items()}
