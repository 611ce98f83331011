"""The machine through the study: the baseline's own time in every trial; no configuration has a part in it."""

from __future__ import annotations

from autotune.console import words
from autotune.report.charts.chart import GREY, VIOLET, Chart, axis, figure
from autotune.report.data import Run


def machine(run: Run) -> Chart | None:
    """None where fewer than three trials have a time, or load itself differs from trial to trial."""
    timed = [
        (str(trial["number"] + 1), time, trial["status"] == "invalid")
        for trial in run.trials
        if (time := (trial["baseline"].get("tpot_ms") or {}).get("p50")) is not None
    ]
    if len(timed) < 3 or run.details.get("schedule"):
        return None
    times = [time for _, time, _ in timed]
    trace = {
        "type": "scatter", "mode": "lines+markers", "x": [place for place, _, _ in timed], "y": times,
        "line": {"color": GREY, "width": 1.4},
        "marker": {"size": 8, "color": [VIOLET if bad else GREY for _, _, bad in timed],
                   "symbol": ["x" if bad else "circle" for _, _, bad in timed]},
        "hovertemplate": "trial %{x}: %{y:.3f} ms<extra></extra>",
    }  # fmt: skip
    layout = {
        "height": 240, "xaxis": axis("trial", type="category"),
        "yaxis": axis("ms per token", range=[0, 1.15 * max(times)]),
    }  # fmt: skip
    return Chart(
        "The machine through the study",
        "The median time per token without speculation, in every trial. Each trial is compared with its own baseline, "
        f"so a slow drift costs nothing; here it lay between {min(times):.3f} and {max(times):.3f} ms.",
        figure([trace], layout),
        ("trial", "ms per token without speculation"),
        [[place, words.number(time, 3)] for place, time, _ in timed],
        wide=True,
    )
