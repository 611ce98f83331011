"""A choice over several workloads: every configuration's factor in each, and what is lost to the best of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autotune.console import words
from autotune.report.charts.chart import GREEN, GREY, Chart, axis, bars, factors, figure, line_at_one, parameters
from autotune.report.data import Run

RULES = {
    "mean": "the best weighted mean",
    "worst": "the largest factor on the workload that gains least",
    "regret": "the least regret",
}
Row = Mapping[str, Any]


def workloads(run: Run) -> Chart | None:
    """None where one workload was measured."""
    found = run.details.get("robust")
    if not found or not found["rows"]:
        return None
    names = list(found["weights"])
    chosen = [row for row in found["rows"] if row["trial"] == found["chosen"]]
    others = [row for row in found["rows"] if row["trial"] != found["chosen"]]
    traces = [*(_points(row, names, GREY, "circle-open") for row in others),
              *(_points(row, names, GREEN, "diamond") for row in chosen)]  # fmt: skip
    layout = {
        "xaxis": axis("", type="category", categoryorder="array", categoryarray=names, range=[-0.5, len(names) - 0.5]),
        "yaxis": factors(f"{run.measurement.quantity} over no speculation"), "shapes": [line_at_one("y")],
    }  # fmt: skip
    return Chart(
        "One configuration for all workloads",
        f"Chosen for {RULES.get(found['rule'], found['rule'])}: the green diamond; the others are grey. "
        f"Weights: {', '.join(f'{name} {words.percent(weight)}' for name, weight in found['weights'].items())}. "
        "Regret is the most that a configuration loses to the best one of a workload.",
        figure(traces, layout),
        ("trial", "parameters", *names, "regret"),
        [_cells(row, names) for row in found["rows"]],
        wide=True,
    )


def workload_rows(run: Run) -> list[dict[str, Any]]:
    """For the table on the page: the chosen one on the held-out prompts, then all on the search's."""
    found = run.details.get("robust") or {}
    names = list(found.get("weights", ()))
    rows = [{"cells": _cells(row, names), "chosen": row["trial"] == found["chosen"]} for row in found.get("rows", ())]
    if confirmed := found.get("confirmed"):
        cells = ["held out", parameters(run.best["parameters"]), *_factors(confirmed, names), ""]
        return [{"cells": cells, "chosen": True}, *rows]
    return rows


def alone_rows(run: Run) -> list[list[str]]:
    """What choosing for one workload alone would have led to: its speed on the others, of the best there."""
    found = run.details.get("robust") or {}
    names = list(found.get("weights", ()))
    return [[one["workload"], str(one["trial"] + 1), *_against(one["against_the_best_there"], names)]
            for one in found.get("singles", ())]  # fmt: skip


def _against(found: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    return [_factor(found[name]["factor"], found[name]["interval"]) if name in found else "itself" for name in names]


def workload_head(run: Run) -> list[str]:
    found = run.details.get("robust") or {}
    return ["trial", "parameters", *found.get("weights", ()), "regret"]


def _cells(row: Row, names: Sequence[str]) -> list[str]:
    values = _factors(row["by_workload"], names)
    return [str(row["trial"] + 1), parameters(row["parameters"]), *values, _percent(row.get("regret"))]


def _factors(by: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    return [_factor(by[name]["speedup"], by[name]["interval"]) if name in by else "–" for name in names]


def _factor(value: float, bounds: Sequence[float] | None) -> str:
    return f"{words.factor(value)} {words.bounds(list(bounds) if bounds else None)}".strip()


def _percent(share: float | None) -> str:
    """A small loss is still one."""
    return "–" if share is None else f"{100 * share:.1f} %"


def _points(row: Row, names: Sequence[str], colour: str, symbol: str) -> dict[str, Any]:
    there = [name for name in names if name in row["by_workload"]]
    values = [row["by_workload"][name]["speedup"] for name in there]
    return {
        "type": "scatter", "mode": "markers", "name": f"trial {row['trial'] + 1}", "x": there, "y": values,
        "marker": {"color": colour, "size": 12 if symbol == "diamond" else 8, "symbol": symbol},
        "error_y": bars(values, [row["by_workload"][name]["interval"] for name in there],
                        thickness=1.6 if symbol == "diamond" else 0.7, width=4 if symbol == "diamond" else 0),
        "text": [parameters(row["parameters"])] * len(there),
        "hovertemplate": "%{x}: %{y:.2f}x<br>%{text}<extra></extra>",
    }  # fmt: skip
