"""How the gain differs from unit to unit of the confirmation."""

from __future__ import annotations

import math

from autotune.console import words
from autotune.report.charts.chart import BLUE, RED, Chart, axis, factors, figure, line_at_one
from autotune.report.data import Run


def prompts(run: Run) -> Chart | None:
    """None where no unit has a gain of its own."""
    gains = run.details.get("log_gains") or {}
    if not gains:
        return None
    ranked = sorted(gains.items(), key=lambda item: item[1])
    values = [math.exp(value) for _, value in ranked]
    what = "prompt" if "prompt-" in ranked[0][0] else "window"
    trace = {
        "type": "bar", "x": list(range(1, len(values) + 1)), "y": [value - 1 for value in values], "base": 1,
        "marker": {"color": [BLUE if value >= 1 else RED for value in values]},
        "customdata": [[name, value] for (name, _), value in zip(ranked, values, strict=True)],
        "hovertemplate": "%{customdata[0]}: %{customdata[1]:.2f}x<extra></extra>",
    }  # fmt: skip
    layout = {
        "xaxis": axis(f"{what}s, slowest gain first", showticklabels=False, ticks="", showgrid=False),
        "yaxis": factors(run.measurement.quantity),
        "shapes": [line_at_one("y")],
    }
    slower = sum(value < 1 for value in values)
    return Chart(
        f"The same configuration, {what} by {what}",
        "The headline is the geometric mean of these. "
        f"{len(values) - slower} of {len(values)} {what}s gained or stayed as they were, {slower} lost.",
        figure([trace], layout),
        (what, run.measurement.quantity),
        [[name, words.factor(math.exp(value))] for name, value in ranked],
    )
