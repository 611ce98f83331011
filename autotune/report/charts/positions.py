"""How far into a draft the target agrees."""

from __future__ import annotations

from autotune.console import words
from autotune.report.charts.chart import BLUE, Chart, axis, figure
from autotune.report.data import Run


def positions(run: Run) -> Chart | None:
    """None where nothing was drafted."""
    rates = run.best["metrics"].get("acceptance_per_position") or []
    if not any(rate is not None for rate in rates):
        return None
    places = [str(index + 1) for index in range(len(rates))]
    trace = {
        "type": "bar", "x": places, "y": rates, "marker": {"color": BLUE},
        "text": [words.percent(rate) for rate in rates], "textposition": "outside", "cliponaxis": False,
        "textangle": 0, "hovertemplate": "position %{x}: %{y:.1%}<extra></extra>",
    }  # fmt: skip
    top = min(1.1, 1.15 * max(rate or 0 for rate in rates) + 0.05)
    layout = {
        "xaxis": axis("position in the draft", type="category", ticks=""),
        "yaxis": axis("accepted", tickformat=".0%", range=[0, top]),
        "uniformtext": {"minsize": 9, "mode": "hide"},
    }
    length = words.number(run.best["metrics"]["mean_acceptance_length"])
    passes = words.number(run.best["all_metrics"].get("tokens_per_target_pass"))
    return Chart(
        "How far the drafts hold",
        "Of the drafts with a token at a position, the share whose token there was accepted. "
        f"Mean acceptance length {length}; "
        f"{passes} tokens per target pass, which also counts the passes without a draft.",
        figure([trace], layout),
        ("position", "accepted"),
        [[place, words.percent(rate)] for place, rate in zip(places, rates, strict=True)],
    )
