"""What best.json says of the model: how well it foretold what was then measured, and what it was fitted to."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from autotune.model.cost import StepModel
from autotune.model.predict import Model
from autotune.status import Status
from autotune.trial import Trial


def account(trials: Sequence[Trial], model: Model | None, on: bool = True) -> dict[str, Any]:
    """`predictions` were all made before their trial was measured. `coverage` is the share of the 90 % intervals that
    held what was measured, `mean_abs_log_error` the mean distance of the two as a log-ratio; None without any.
    """
    pairs = [_pair(trial) for trial in trials if trial.prediction and trial.speedup is not None]
    return {
        "on": on,
        "predictions": pairs,
        "left_out": [_left(trial) for trial in trials if trial.status is Status.PREDICTED],
        "mean_abs_log_error": fmean(abs(math.log(p["measured"] / p["predicted"])) for p in pairs) if pairs else None,
        "coverage": fmean(p["covered"] for p in pairs) if pairs else None,
        "scale": None if model is None else model.scale,
        "steps": {} if model is None else {method: _steps(fit) for method, fit in model.steps.items()},
        "knobs": {} if model is None else _knobs(model),
    }


def _pair(trial: Trial) -> dict[str, Any]:
    found, measured = trial.prediction or {}, trial.speedup or math.nan
    low, high = found["interval"]
    return {
        "trial": trial.number, "parameters": dict(trial.parameters), "status": str(trial.status),
        "predicted": found["speedup"], "interval": [low, high], "measured": measured,
        "measured_interval": trial.interval, "covered": low <= measured <= high, "told_by": found["told_by"],
    }  # fmt: skip


def _left(trial: Trial) -> dict[str, Any]:
    found = trial.prediction or {}
    return {"trial": trial.number, "parameters": dict(trial.parameters), "predicted": found.get("speedup"),
            "interval": found.get("interval")}  # fmt: skip


def _steps(fit: StepModel) -> dict[str, Any]:
    """Costs in steps without speculation; `rest` by batch as [rows, cost, standard error]."""
    return {
        "draft_per_level": fit.draft,
        "draft_start": fit.start,
        "steps": fit.steps,
        "rest": {
            str(batch): [[rows, cost, fit.error(batch, rows)] for rows, cost in points]
            for batch, points in fit.rest.items()
        },
    }


def _knobs(model: Model) -> Mapping[str, float]:
    """Standard deviation of the log-gain from one end of a knob to the other, besides what the shape explains."""
    return {path: math.sqrt(slope) for path, slope in model.variogram.slopes.items()}
