"""The charts, each with the table of its numbers for readers without scripts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from autotune.console import words
from autotune.report.data import Run
from autotune.trees import shortened

BLUE, GREY, GREEN, AMBER, RED, VIOLET = "#2456c7", "#8b95a7", "#14804a", "#c27c0e", "#c0392b", "#7d5bb5"
STATUS_COLOURS = {"complete": BLUE, "pruned": AMBER, "invalid": VIOLET, "infeasible": GREY, "failed": RED}
SHARES = {"target": BLUE, "draft": AMBER, "verify": GREEN, "other": GREY}


@dataclass(frozen=True)
class Chart:
    """`figure` is Plotly's own JSON; `head` and `rows` say the same in words."""

    title: str
    caption: str
    figure: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


def charts(run: Run) -> list[Chart]:
    """Those that this run has numbers for."""
    found = [trials_chart(run), prompts_chart(run), positions_chart(run), split_chart(run)]
    return [chart for chart in found if chart is not None]


def trials_chart(run: Run) -> Chart | None:
    """The speed-up of every trial with its interval, and the confirmed number."""
    measured = [trial for trial in run.trials if trial["speedup"] is not None]
    if not measured:
        return None
    traces = [
        _trials_trace(measured, status) for status in STATUS_COLOURS if any(t["status"] == status for t in measured)
    ]
    if run.best["speedup"] is not None and run.best["command"] == "tune":
        traces.append(_confirmed_trace(run))
    layout = {
        "xaxis": {
            "title": {"text": "trial"},
            "type": "category",
            "categoryorder": "array",
            "categoryarray": _order(measured),
        },
        "yaxis": {"title": {"text": f"{run.measurement.quantity} over no speculation"}, "ticksuffix": "x"},
        "shapes": [_line_at_one("y")],
        "legend": {"orientation": "h", "y": 1.12},
    }
    rows = [
        [str(t["number"] + 1), _parameters(t), words.factor(t["speedup"]), words.bounds(t["interval"]), t["status"]]
        for t in measured
    ]
    return Chart(
        "Every trial",
        "Each point is one configuration against no speculation on the same prompts; the bar is its interval. "
        "Trials that were clearly worse than the best stopped early, so their bars are wide.",
        _json(traces, layout),
        ("trial", "parameters", run.measurement.quantity, "interval", "status"),
        rows,
    )


def prompts_chart(run: Run) -> Chart | None:
    """How the gain differs from unit to unit of the confirmation."""
    gains = run.details.get("log_gains") or {}
    if not gains:
        return None
    ranked = sorted(gains.items(), key=lambda item: item[1])
    factors = [math.exp(value) for _, value in ranked]
    what = "prompt" if ranked[0][0].startswith("prompt") else "window"
    trace = {
        "type": "bar", "x": list(range(1, len(factors) + 1)), "y": [value - 1 for value in factors], "base": 1,
        "marker": {"color": [BLUE if value >= 1 else RED for value in factors]},
        "customdata": [[name, value] for (name, _), value in zip(ranked, factors, strict=True)],
        "hovertemplate": "%{customdata[0]}: %{customdata[1]:.2f}x<extra></extra>",
    }  # fmt: skip
    layout = {
        "xaxis": {"title": {"text": f"{what}s, slowest gain first"}, "showticklabels": False},
        "yaxis": {"title": {"text": run.measurement.quantity}, "ticksuffix": "x"},
        "shapes": [_line_at_one("y")],
    }
    slower = sum(value < 1 for value in factors)
    return Chart(
        f"The same configuration, {what} by {what}",
        "The headline is the geometric mean of these. "
        f"{len(factors) - slower} of {len(factors)} {what}s gained or stayed as they were, {slower} lost.",
        _json([trace], layout),
        (what, run.measurement.quantity),
        [[name, words.factor(math.exp(value))] for name, value in ranked],
    )


def positions_chart(run: Run) -> Chart | None:
    """How far into a draft the target agrees."""
    rates = run.best["metrics"]["acceptance_per_position"] or []
    if not any(rate is not None for rate in rates):
        return None
    places = [str(index + 1) for index in range(len(rates))]
    trace = {
        "type": "bar", "x": places, "y": rates, "marker": {"color": BLUE},
        "text": [words.percent(rate) for rate in rates], "textposition": "outside", "cliponaxis": False,
        "hovertemplate": "position %{x}: %{y:.1%}<extra></extra>",
    }  # fmt: skip
    layout = {
        "xaxis": {"title": {"text": "position in the draft"}, "type": "category"},
        "yaxis": {
            "title": {"text": "accepted"},
            "tickformat": ".0%",
            "range": [0, min(1.1, 1.15 * max(r or 0 for r in rates) + 0.05)],
        },
    }
    length = words.number(run.best["metrics"]["mean_acceptance_length"])
    passes = words.number(run.best["all_metrics"].get("tokens_per_target_pass"))
    return Chart(
        "How far the drafts hold",
        "Of the drafts with a token at a position, the share whose token there was accepted. "
        f"Mean acceptance length {length}; "
        f"{passes} tokens per target pass, which also counts the passes without a draft.",
        _json([trace], layout),
        ("position", "accepted"),
        [[place, words.percent(rate)] for place, rate in zip(places, rates, strict=True)],
    )


def split_chart(run: Run) -> Chart | None:
    """Where the engine's time went, per output token, with and without speculation."""
    arms = [("no speculation", run.best["all_baseline"]), (run.best["method"], run.best["all_metrics"])]
    costs = {label: _cost_per_token(metrics) for label, metrics in arms}
    if not all(costs.values()):
        return None
    labels = [label for label, _ in arms]
    traces = [
        {"type": "bar", "orientation": "h", "name": part, "y": labels, "x": [costs[label][part] for label in labels],
         "marker": {"color": colour}, "hovertemplate": f"{part}: %{{x:.3f}} ms<extra></extra>"}
        for part, colour in SHARES.items()
    ]  # fmt: skip
    layout = {
        "barmode": "stack",
        "height": 240,
        "xaxis": {"title": {"text": "ms per output token, prompts included"}},
        "yaxis": {"autorange": "reversed"},
        "legend": {"orientation": "h", "y": 1.3, "traceorder": "normal"},
    }
    rows = [[label, *(words.number(costs[label][part], 3) for part in SHARES)] for label in labels]
    idle = " Time without a request to work on is left out." if _is_open(arms[0][1]) else ""
    return Chart(
        "Where the time goes",
        f"Wall time divided by the tokens delivered, split as the engine's own clock saw its steps.{idle}",
        _json(traces, layout),
        ("", *SHARES),
        rows,
    )


def _cost_per_token(metrics: dict[str, Any]) -> dict[str, float]:
    """Milliseconds per output token by part of the step; empty where it was not counted."""
    speed, shares = metrics.get("output_tokens_per_s"), metrics.get("time_split") or {}
    if not speed or any(shares.get(part) is None for part in SHARES):
        return {}
    busy = metrics["busy_share"] if _is_open(metrics) else 1.0
    return {part: 1e3 / speed * busy * shares[part] for part in SHARES}


def _is_open(metrics: dict[str, Any]) -> bool:
    """Whether requests came at times of their own, so that the engine may have had none."""
    return metrics.get("offered_requests_per_s") is not None and metrics.get("busy_share") is not None


def _trials_trace(trials: list[dict[str, Any]], status: str) -> dict[str, Any]:
    chosen = [trial for trial in trials if trial["status"] == status]
    bounds = [trial["interval"] or [trial["speedup"]] * 2 for trial in chosen]
    return {
        "type": "scatter", "mode": "markers", "name": status, "x": [str(t["number"] + 1) for t in chosen],
        "y": [t["speedup"] for t in chosen], "marker": {"color": STATUS_COLOURS[status], "size": 9},
        "error_y": {"type": "data", "symmetric": False, "thickness": 1.4, "width": 4,
                    "array": [high - t["speedup"] for t, (_, high) in zip(chosen, bounds, strict=True)],
                    "arrayminus": [t["speedup"] - low for t, (low, _) in zip(chosen, bounds, strict=True)]},
        "text": [_parameters(t) for t in chosen], "hovertemplate": "%{y:.2f}x<br>%{text}<extra>trial %{x}</extra>",
    }  # fmt: skip


def _confirmed_trace(run: Run) -> dict[str, Any]:
    speedup, interval = run.best["speedup"], run.interval or [run.best["speedup"]] * 2
    return {
        "type": "scatter", "mode": "markers", "name": "held-out prompts", "x": ["held out"], "y": [speedup],
        "marker": {"color": GREEN, "size": 13, "symbol": "diamond"},
        "error_y": {"type": "data", "symmetric": False, "thickness": 2, "width": 6,
                    "array": [interval[1] - speedup], "arrayminus": [speedup - interval[0]]},
        "hovertemplate": "%{y:.2f}x on held-out prompts<extra></extra>",
    }  # fmt: skip


def _order(trials: list[dict[str, Any]]) -> list[str]:
    return [*(str(trial["number"] + 1) for trial in trials), "held out"]


def _parameters(trial: dict[str, Any]) -> str:
    pairs = trial["parameters"].items()
    return ", ".join(f"{name}={shortened(name, value)}" for name, value in pairs) or "as configured"


def _line_at_one(axis: str) -> dict[str, Any]:
    across = "x" if axis == "y" else "y"
    return {"type": "line", f"{across}ref": "paper", f"{across}0": 0, f"{across}1": 1, f"{axis}0": 1, f"{axis}1": 1,
            "line": {"color": "#1c2430", "width": 1, "dash": "dot"}}  # fmt: skip


def _json(traces: list[dict[str, Any]], layout: dict[str, Any]) -> str:
    """Checked by Plotly, which refuses what it does not know."""
    import plotly.graph_objects as go

    base = {
        "template": "plotly_white", "height": 360, "margin": {"l": 64, "r": 16, "t": 28, "b": 52},
        "font": {"family": "system-ui, -apple-system, Segoe UI, Roboto, sans-serif", "size": 13, "color": "#1c2430"},
        "paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)", "bargap": 0.25,
    }  # fmt: skip
    return go.Figure(data=traces, layout={**base, **layout}).to_json().replace("</", "<\\/")
