"""One knob at a time: the factor of every measured configuration by the value of that knob."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from autotune.console import words
from autotune.report.charts.chart import CYCLE, GREY, Chart, axis, bars, factors, figure, line_at_one, parameters
from autotune.report.charts.importance import configurations, importances, varied
from autotune.report.data import Run
from autotune.trees import shortened

METHOD = "method"
LEGEND = 3  # names that fit above a small chart; where there are more, the chart of the method names the colours
Trial = Mapping[str, Any]


def slices(run: Run) -> list[Chart]:
    """A chart a knob that varied, the most important first."""
    trials = configurations(run)
    order = dict.fromkeys([*importances(run), *varied(trials)])
    methods = dict.fromkeys(trial["parameters"].get(METHOD, "") for trial in trials)
    colours = dict(zip(methods, itertools.cycle(CYCLE), strict=False))
    return [_slice(run, name, [t for t in trials if name in t["parameters"]], colours) for name in order]


def _slice(run: Run, name: str, trials: Sequence[Trial], colours: Mapping[str, str]) -> Chart:
    """`colours` are those of the methods, the same in every chart."""
    numeric = all(_is_number(trial["parameters"][name]) for trial in trials)
    groups = _by_method(trials)
    traces = [_points(name, own, label, numeric, colours[label]) for label, own in groups.items()]
    several = 1 < len(groups) <= LEGEND and name != METHOD
    layout = {
        "height": 250, "margin": {"l": 54, "r": 10, "t": 24 if several else 8, "b": 46},
        "xaxis": axis("", **_ticks([trial["parameters"][name] for trial in trials], numeric)),
        "yaxis": factors(""), "shapes": [line_at_one("y")], "showlegend": several,
    }  # fmt: skip
    ranked = sorted(trials, key=lambda trial: -trial["speedup"])
    return Chart(
        name.replace("_", " "),
        "Colours as under method." if len(groups) > LEGEND and name != METHOD else "",
        figure(traces, layout),
        (name.replace("_", " "), run.measurement.quantity, "interval", "parameters"),
        [
            [str(shortened(name, t["parameters"][name])), words.factor(t["speedup"]), words.bounds(t["interval"]),
             parameters(t["parameters"])]
            for t in ranked
        ],
    )  # fmt: skip


def _points(name: str, trials: Sequence[Trial], label: str, numeric: bool, colour: str) -> dict[str, Any]:
    values = [trial["speedup"] for trial in trials]
    whole = [trial["status"] == "complete" for trial in trials]
    places = [trial["parameters"][name] for trial in trials]
    return {
        "type": "scatter", "mode": "markers", "name": label or name, "y": values,
        "x": places if numeric else [str(shortened(name, place)) for place in places],
        "marker": {"color": colour, "size": 8, "opacity": 0.85,
                   "symbol": ["circle" if done else "circle-open" for done in whole]},
        "error_y": bars(values, [trial["interval"] for trial in trials], thickness=0.8, width=0, color=GREY),
        "text": [f"trial {t['number'] + 1}: {parameters(t['parameters'])}" for t in trials],
        "hovertemplate": "%{y:.2f}x<br>%{text}<extra></extra>",
    }  # fmt: skip


def _by_method(trials: Sequence[Trial]) -> dict[str, list[Trial]]:
    """Groups for the colours; one where one method was searched."""
    found: dict[str, list[Trial]] = {}
    for trial in trials:
        found.setdefault(trial["parameters"].get(METHOD, ""), []).append(trial)
    return found


def _ticks(values: Sequence[Any], numeric: bool) -> dict[str, Any]:
    """Whole numbers get whole ticks, words their own places."""
    if not numeric:
        return {"type": "category"}
    return {"dtick": 1} if all(isinstance(v, int) for v in values) and max(values) - min(values) <= 12 else {}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
