"""The speed-up by batch size, a line for every number of drafted tokens, and where drafting less begins to pay."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from autotune.console import words
from autotune.report.charts.chart import CYCLE, GREEN, INK, Chart, axis, bars, factors, figure, line_at_one
from autotune.report.data import Run

CAPTION = (
    "A line is a number of drafted tokens, the bars are intervals, the ring marks what the schedule drafts at that "
    "batch size. Grey bands are the intervals of the crossovers: where drafting that many tokens ceases to pay."
)


def schedule(run: Run) -> Chart | None:
    """None where no schedule was sought. Of several context lengths, all taken together."""
    found = run.details.get("schedule")
    return _drawn(run, found, f"{_quantity(run)} by batch size", CAPTION) if found and found["batches"] else None


def contexts(run: Run) -> list[Chart]:
    """A chart for every context length, where several were measured."""
    found = (run.details.get("schedule") or {}).get("contexts") or []
    return [_drawn(run, each, f"Context of {each['context']:,} tokens", _best(each)) for each in found]


def _best(found: Mapping[str, Any]) -> str:
    parts = ", ".join(f"{row['tokens']} for {row['batch']}" for row in _buckets(found))
    return f"Alone, the best would be to draft {parts} requests in flight."


def _quantity(run: Run) -> str:
    return f"{run.measurement.quantity[0].upper()}{run.measurement.quantity[1:]}"


def _drawn(run: Run, found: Mapping[str, Any], title: str, caption: str) -> Chart:
    rows = found["batches"]
    sizes = [row["batch"] for row in rows]
    layout = {
        "xaxis": axis("requests in flight", type="category", categoryorder="array",
                      categoryarray=[str(size) for size in sizes], range=[-0.4, len(sizes) - 0.6]),
        "yaxis": factors(f"{run.measurement.quantity} over no speculation"),
        "shapes": [line_at_one("y"), *(_span(fall, sizes) for fall in found["crossovers"] if fall["low"] is not None)],
        "showlegend": True, "height": 400,
    }  # fmt: skip
    return Chart(
        title,
        caption,
        figure([*_lines(rows), _chosen(rows)], layout),
        ("requests in flight", *(f"{option['tokens']} tokens" for option in rows[0]["options"]), "schedule"),
        [[str(row["batch"]), *(_cell(option) for option in row["options"]), str(row["tokens"])] for row in rows],
        wide=True,
    )


def crossover_rows(run: Run) -> list[dict[str, str]]:
    """Where each draft length stops paying, in words."""
    found = run.details.get("schedule") or {}
    return [
        {
            "tokens": str(fall["tokens"]),
            "batch": "not within what was measured" if fall["batch"] is None else str(fall["batch"]),
            "interval": _ends(fall),
        }
        for fall in found.get("crossovers", ())
    ]


def bucket_rows(run: Run) -> list[dict[str, str]]:
    """The schedule itself: how many tokens for which batch sizes."""
    return _buckets(run.details.get("schedule") or {})


def _buckets(found: Mapping[str, Any]) -> list[dict[str, str]]:
    return [
        {"batch": str(first) if first == last else f"{first} to {last}", "tokens": str(tokens)}
        for first, last, tokens in found.get("buckets", ())
    ]


def _lines(rows: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    places = [str(row["batch"]) for row in rows]
    counts = [option["tokens"] for option in rows[0]["options"] if option["tokens"]]
    for number, count in enumerate(counts):
        options = [option for row in rows for option in row["options"] if option["tokens"] == count]
        values = [option["speedup"] for option in options]
        colour = CYCLE[number % len(CYCLE)]
        yield {
            "type": "scatter", "mode": "lines+markers", "name": f"{count} token{'' if count == 1 else 's'}",
            "x": places, "y": values, "line": {"color": colour, "width": 2}, "marker": {"color": colour, "size": 7},
            "error_y": bars(values, [option["interval"] for option in options], thickness=1, width=3),
            "hovertemplate": f"{count} tokens, %{{x}} in flight: %{{y:.2f}}x<extra></extra>",
        }  # fmt: skip


def _chosen(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    picked = [next(o["speedup"] for o in row["options"] if o["tokens"] == row["tokens"]) for row in rows]
    return {
        "type": "scatter", "mode": "markers", "name": "the schedule", "x": [str(row["batch"]) for row in rows],
        "y": picked, "marker": {"color": GREEN, "size": 16, "symbol": "circle-open", "line": {"width": 2.5}},
        "text": [f"{row['tokens']} tokens" for row in rows],
        "hovertemplate": "the schedule at %{x}: %{text}, %{y:.2f}x<extra></extra>",
    }  # fmt: skip


def _span(fall: Mapping[str, Any], sizes: Sequence[int]) -> dict[str, Any]:
    """On an axis of categories, place i lies at i; a crossover at a batch size lies before that size."""
    low, high = (len(sizes) if fall[end] is None else sizes.index(fall[end]) for end in ("low", "high"))
    return {"type": "rect", "xref": "x", "yref": "paper", "x0": low - 0.55, "x1": high - 0.45, "y0": 0, "y1": 1,
            "fillcolor": INK, "opacity": 0.07, "line": {"width": 0}, "layer": "below"}  # fmt: skip


def _cell(option: Mapping[str, Any]) -> str:
    return f"{words.factor(option['speedup'])} {words.bounds(option['interval'])}".strip()


def _ends(fall: Mapping[str, Any]) -> str:
    if fall["low"] is None:
        return "no bootstrap sample has one"
    return " to ".join("beyond" if fall[end] is None else str(fall[end]) for end in ("low", "high"))
