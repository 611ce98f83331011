"""The tables of the page: plain rows of text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from autotune.console import words
from autotune.metrics import METRICS, Metric
from autotune.report.data import Run


def metric_rows(run: Run) -> list[dict[str, str]]:
    """Every metric with both arms' values, its unit and its formula."""
    base, mine = run.best["all_baseline"], run.best["all_metrics"]
    return [
        {
            "name": metric.name,
            "baseline": _value(metric, base),
            "candidate": _value(metric, mine),
            "unit": metric.unit,
            "formula": metric.formula,
        }
        for metric in METRICS
    ]


def _value(metric: Metric, metrics: dict[str, Any]) -> str:
    value = metrics.get(metric.name)
    if isinstance(value, dict) and "count" in value:
        return (
            " / ".join(words.number(value.get(q), 2) for q in ("p50", "p90", "p95", "p99")) + f"  (n={value['count']})"
        )
    if isinstance(value, dict):
        return ", ".join(f"{name} {words.percent(share)}" for name, share in value.items())
    if isinstance(value, list):
        return ", ".join(words.percent(entry) for entry in value) or "–"
    if isinstance(value, int):
        return f"{value:,}"
    return words.number(value, 3)


def trial_rows(run: Run) -> list[dict[str, Any]]:
    """A row per trial, best first among the complete ones, the others after them."""
    order = {"complete": 0, "pruned": 1, "infeasible": 2, "failed": 3}
    ranked = sorted(run.trials, key=lambda t: (order[t["status"]], -(t["speedup"] or 0)))
    return [
        {
            "number": trial["number"] + 1,
            "parameters": list(trial["parameters"].values()),
            "speedup": words.factor(trial["speedup"]),
            "interval": words.bounds(trial["interval"]),
            "status": trial["status"],
            "reason": trial["reason"] or trial["cause"] or _pooled(trial),
            "acceptance": words.percent(trial["metrics"].get("acceptance_rate")),
            "length": words.number(trial["metrics"].get("mean_acceptance_length")),
            "per_pass": words.number(trial["metrics"].get("tokens_per_target_pass")),
            "units": f"{trial['units']}/{trial['units_planned']}",
            "seconds": words.number(trial["seconds"], 1),
            "chosen": trial["number"] == run.details.get("trial"),
        }
        for trial in ranked
    ]


def _pooled(trial: dict[str, Any]) -> str:
    return f"pooled with trial {', '.join(str(n + 1) for n in trial['repeats'])}" if trial["repeats"] else ""


def parameter_names(run: Run) -> list[str]:
    return list(next((trial["parameters"] for trial in run.trials), {}))


def cards(run: Run) -> list[dict[str, str]]:
    """The numbers beside the headline, with the baseline's; without a clock only those of drafting."""
    mine, base = run.best["all_metrics"], run.best["all_baseline"]
    return list(_cards(mine, base))


def _cards(mine: dict[str, Any], base: dict[str, Any]) -> Iterable[dict[str, str]]:
    if mine.get("output_tokens_per_s") is not None:
        yield from _timed_cards(mine, base)
    rate = mine.get("acceptance_rate")
    share = "no drafts" if rate is None else f"1 + accepted tokens a draft; {words.percent(rate)} accepted"
    yield {"label": "Acceptance length", "value": words.number(mine.get("mean_acceptance_length")), "note": share}
    yield {"label": "Tokens per target pass", "value": words.number(mine.get("tokens_per_target_pass")),
           "note": "passes without a draft counted"}  # fmt: skip


def _timed_cards(mine: dict[str, Any], base: dict[str, Any]) -> Iterable[dict[str, str]]:
    def quantile(metrics: dict[str, Any], name: str) -> Any:
        return (metrics.get(name) or {}).get("p50")

    yield {"label": "Time per output token", "value": f"{words.number(quantile(mine, 'tpot_ms'), 2)} ms",
           "note": f"median; {words.number(quantile(base, 'tpot_ms'), 2)} ms without"}  # fmt: skip
    yield {"label": "Output speed", "value": f"{words.number(mine.get('output_tokens_per_s'), 0)} tokens/s",
           "note": f"{words.number(base.get('output_tokens_per_s'), 0)} without, prompts included"}  # fmt: skip
