"""No speculation against the winner, number by number, with what became better and what worse."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from autotune.console import words
from autotune.metrics import BATCHES, METRICS
from autotune.report.data import Run

SAME = 0.005  # share of a number below which a change is none
EVERYWHERE = (
    ("Time per output token, median", "tpot_ms", "p50", 3),
    ("Time per output token, p95", "tpot_ms", "p95", 3),
    ("Time to first token, median", "ttft_ms", "p50", 2),
    ("Time to first token, p95", "ttft_ms", "p95", 2),
    ("Time to last token, median", "e2e_ms", "p50", 1),
    ("Time to last token, p95", "e2e_ms", "p95", 1),
)
UNDER_LOAD = (("Time in the queue, p95", "queue_ms", "p95", 2), ("Goodput", "goodput", None, 2),
              ("Requests within the limits", "slo_share", None, 3))  # fmt: skip
FURTHER = (
    ("Output tokens a second", "output_tokens_per_s", None, 0),
    ("Requests a second", "requests_per_s", None, 2),
    ("Tokens per target pass", "tokens_per_target_pass", None, 2),
    ("Tokens per step's cost", "tokens_per_step_cost", None, 2),
    ("Peak memory", "peak_memory_gib", None, 2),
    ("Tokens that the KV cache holds", "kv_capacity_tokens", None, 0),
    ("KV cache per token", "kv_kib_per_token", None, 2),
    ("Energy per token", "energy_per_token_j", None, 3),
)
BETTER: Mapping[str, Literal["lower", "higher"] | None] = {metric.name: metric.better for metric in METRICS}
UNITS = {metric.name: metric.unit for metric in METRICS}


@dataclass(frozen=True)
class Versus:
    """`verdict` is better, worse or same; `bar` the size of the change as a log-ratio, 100 for the
    largest."""

    label: str
    baseline: str
    candidate: str
    change: str
    verdict: str
    bar: float


def versus(run: Run) -> list[Versus]:
    """Those that both have; nothing where no configuration was found."""
    found = list(_changes(run.best["all_baseline"], run.best["all_metrics"]))
    largest = max((abs(math.log1p(change)) for *_, change in found), default=0.0) or 1.0
    return [_row(*entry, largest) for entry in found]


def _changes(base: Mapping[str, Any], mine: Mapping[str, Any]) -> Iterator[tuple[str, str, int, float, float, float]]:
    """Label, metric, digits, both values, and the change as a share of the baseline's."""
    for label, name, level, digits in (*EVERYWHERE, *(UNDER_LOAD if BATCHES in mine else ()), *FURTHER):
        before, after = _value(base, name, level), _value(mine, name, level)
        if before and after:
            yield label, name, digits, before, after, after / before - 1


def _value(metrics: Mapping[str, Any], name: str, level: str | None) -> float | None:
    value = metrics.get(name)
    return (value or {}).get(level) if level else value


def _row(label: str, name: str, digits: int, before: float, after: float, change: float, largest: float) -> Versus:
    unit = UNITS[name]
    return Versus(
        f"{label} ({unit})" if unit in ("ms", "GiB", "KiB", "J") else label,
        words.number(before, digits),
        words.number(after, digits),
        "±0 %" if abs(change) < SAME else f"{change:+.0%}".replace("-", "−").replace("%", " %"),
        _verdict(change, BETTER[name]),
        100 * abs(math.log1p(change)) / largest,
    )


def _verdict(change: float, better: str | None) -> str:
    if abs(change) < SAME or better is None:
        return "same"
    return "better" if (change < 0) is (better == "lower") else "worse"
