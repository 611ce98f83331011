"""A trial as a point on its study's curves: step i is trial i, so that MLflow draws the search."""

from __future__ import annotations

from typing import Any

from autotune.measurement import named
from autotune.tracking.flatten import numbers
from autotune.trial import Trial

FOLLOWED = ("acceptance_rate", "mean_acceptance_length", "tokens_per_target_pass", "output_tokens_per_s")
PREFIX = "search/"  # MLflow makes a group of charts of it


def curves(trial: Trial, best: Trial | None) -> list[list[Any]]:
    """[name, value, step] of what the trial has; the baseline's time shows a machine that drifts."""
    points: dict[str, Any] = {
        named("speedup", trial.output_law): trial.speedup,
        named("speedup_low", trial.output_law): trial.interval[0] if trial.interval else None,
        named("speedup_high", trial.output_law): trial.interval[1] if trial.interval else None,
        "seconds": trial.seconds,
        "tpot_ms": _median(trial.metrics),
        "baseline_tpot_ms": _median(trial.baseline),
        **{name: trial.metrics.get(name) for name in FOLLOWED},
        "predicted_speedup": (trial.prediction or {}).get("speedup"),
    }
    if best is not None:
        points[named("best_speedup", best.output_law)] = best.speedup
    return [[PREFIX + name, value, step] for name, value, step in numbers(points, trial.number)]


def _median(metrics: Any) -> float | None:
    return (metrics.get("tpot_ms") or {}).get("p50")
