"""Where the engine's time went, per output token, with and without speculation."""

from __future__ import annotations

from typing import Any

from autotune.console import words
from autotune.report.charts.chart import BLUE, GREEN, GREY, ORANGE, Chart, axis, figure
from autotune.report.data import Run

SHARES = {"target": BLUE, "draft": ORANGE, "verify": GREEN, "other": GREY}


def split(run: Run) -> Chart | None:
    """None where no clock ran."""
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
        "barmode": "stack", "height": 240, "xaxis": axis("ms per output token"),
        "yaxis": axis("", autorange="reversed", ticks=""), "showlegend": True,
    }  # fmt: skip
    rows = [[label, *(words.number(costs[label][part], 3) for part in SHARES)] for label in labels]
    idle = " Time without a request to work on is left out." if _is_open(arms[0][1]) else ""
    return Chart(
        "Where the time goes",
        "Wall time divided by the tokens delivered, that of reading prompts included, split as the engine's own clock "
        f"saw its steps.{idle}",
        figure(traces, layout),
        ("ms per output token", *SHARES),
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
