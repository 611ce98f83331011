"""The comparison over the jobs of a multirun."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from autotune.console import words
from autotune.measurement import SYNTHETIC, TARGET

NUMBERS = ("job", "speed-up", "TPOT p50 (ms)", "accepted / draft")
COLUMNS = ("job", "what", "speed-up", "interval", "confirmed", "lossless", *NUMBERS[2:], "parameters")


def print_comparison(console: Console, jobs: list[dict[str, Any]]) -> None:
    """Best first, and what is synthetic after all that is real. A job has `overrides` and either the `line` of its
    result or an `error`.
    """
    table = Table(title="Comparison", title_justify="left", title_style="bold")
    for name in COLUMNS:
        table.add_column(name, justify="right" if name in NUMBERS else "left")
    common = set.intersection(*(set(job["overrides"]) for job in jobs)) if len(jobs) > 1 else set()
    for job in sorted(jobs, key=_place):
        table.add_row(*_row(job, common))
    console.print()
    console.print(table)


def _place(job: dict[str, Any]) -> tuple[bool, float]:
    line = job.get("line") or {}
    return line.get("output_law") == SYNTHETIC, -(line.get("speedup") or 0)


def _row(job: dict[str, Any], common: set[str]) -> list[str]:
    """`common` are the words that all jobs share; they tell nothing apart."""
    what = "  ".join(word for word in job["overrides"] if word not in common) or "as configured"
    line = job.get("line")
    if line is None:
        return [str(job["number"]), what, "–", job.get("error") or "failed", "", "", "", "", ""]
    metrics, law = line["metrics"], line["output_law"]
    return [
        str(job["number"]),
        what,
        words.labelled(line["speedup"], law),
        words.bounds(line["speedup_ci"]),
        "yes" if line["confirmed"] else "no",
        "yes" if line["lossless"] else "no" if law == TARGET else f"no: {law}",
        words.number(metrics["tpot_ms"]["p50"], 3),
        words.percent(metrics["acceptance_rate"]),
        "  ".join(f"{name}={value}" for name, value in {**_method(line), **line["parameters"]}.items()),
    ]


def _method(line: dict[str, Any]) -> dict[str, str]:
    """The method that won, where several were searched."""
    return {"method": line["method"]} if line.get("searched", line["method"]) != line["method"] else {}
