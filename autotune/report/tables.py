"""The tables of the page: plain rows of text."""

from __future__ import annotations

from typing import Any

from autotune.console import words
from autotune.measurement import TARGET
from autotune.metrics import BATCHES, METRICS, Metric
from autotune.report.data import Run
from autotune.status import Status
from autotune.trees import shortened


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


# Best first among the complete ones, the others after them.
ORDER = (Status.COMPLETE, Status.PRUNED, Status.INVALID, Status.INFEASIBLE, Status.FAILED, Status.PREDICTED)


def trial_rows(run: Run) -> list[dict[str, Any]]:
    """A row per trial."""
    ranked = sorted(run.trials, key=lambda t: (ORDER.index(Status(t["status"])), -(t["speedup"] or 0)))
    return [
        {
            "number": trial["number"] + 1,
            "parameters": [shortened(name, trial["parameters"].get(name, "")) for name in parameter_names(run)],
            "speedup": words.labelled(trial["speedup"], trial.get("output_law", TARGET)),
            "interval": words.bounds(trial["interval"]),
            "predicted": words.factor((trial.get("prediction") or {}).get("speedup")),
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


def environment_rows(run: Run) -> dict[str, str]:
    """What the measurements were made on, without what is empty."""
    found = run.best["environment"].items()
    return {name: _said(name, value) for name, value in found if value not in (None, "", [], {})}


def _said(name: str, value: Any) -> str:
    if name.endswith("_bytes"):
        return f"{value / 2**20:,.0f} MiB"
    if isinstance(value, list):
        return "; ".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) and value >= 10_000 else str(value)


def _pooled(trial: dict[str, Any]) -> str:
    return f"pooled with trial {', '.join(str(n + 1) for n in trial['repeats'])}" if trial["repeats"] else ""


def parameter_names(run: Run) -> list[str]:
    """Of all trials: where several methods were searched, each has its own."""
    return list(dict.fromkeys(name for trial in run.trials for name in trial["parameters"]))


def batch_rows(run: Run) -> list[dict[str, str]]:
    """The engine's steps by how many requests decoded in them, of both arms; empty where there was never but one."""
    arms = {
        "baseline": run.best["all_baseline"].get(BATCHES, {}),
        "candidate": run.best["all_metrics"].get(BATCHES, {}),
    }
    sizes = sorted({int(size) for steps in arms.values() for size in steps})
    return [
        {"size": str(size), **_batch_cells(*(steps.get(str(size), {}) for steps in arms.values()))} for size in sizes
    ]


def _batch_cells(base: dict[str, Any], mine: dict[str, Any]) -> dict[str, str]:
    drafted, accepted = mine.get("draft_tokens"), mine.get("accepted_tokens")
    return {
        **{f"{arm}_{name}": words.number(steps.get(name), digits)
           for arm, steps in (("baseline", base), ("candidate", mine))
           for name, digits in (("steps", 0), ("median_ms", 2), ("mean_ms", 2), ("tokens_per_step", 2))},
        "drafted": words.number(drafted, 0),
        "accepted": words.percent(accepted / drafted) if drafted else "–",
    }  # fmt: skip
