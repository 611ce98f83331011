"""What best.json says of a schedule, under details.schedule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from autotune.analysis import interval_of
from autotune.schedule import gathered
from autotune.schedule.choose import Choice, Values, best_cutoff, best_fixed, buckets, choose, means
from autotune.schedule.confirmation import CUTOFF, FIXED, Confirmed
from autotune.schedule.plan import Plan
from autotune.schedule.search import RESAMPLES
from autotune.settings import Settings
from autotune.stats import Interval
from autotune.trial import Trial


def of_search(settings: Settings, plan: Plan, trials: Sequence[Trial], choice: Choice) -> dict[str, Any]:
    """`batches` are over all contexts; every one of several has its own table and its own schedule besides."""
    found = gathered.gains(trials, plan)
    middles = means(found, plan.weights)
    tokens, last = best_cutoff(middles, plan.tokens)
    cut = [tokens if batch <= last else 0 for batch in plan.batches]
    return {
        "batches": _rows(settings, plan, found, plan.weights, choice),
        "buckets": buckets(plan.batches, choice.schedule),
        "crossovers": [asdict(fall) for fall in choice.crossovers],
        "best_fixed": best_fixed(middles, plan.tokens),
        "cutoff": buckets(plan.batches, cut),
        **({"contexts": _contexts(settings, plan, found)} if plan.contexts != (None,) else {}),
    }


def of_confirmation(made: Confirmed, whole: Interval) -> dict[str, Any]:
    """The schedule against no speculation, and against the others, where they differ from it."""
    return {
        "speedup": whole.factor,
        "interval": whole.factor_bounds,
        "units": whole.units,
        "against_best_fixed": made.against.get(FIXED),
        "against_best_cutoff": made.against.get(CUTOFF),
    }


def _contexts(settings: Settings, plan: Plan, found: dict[int, list[Values]]) -> list[dict[str, Any]]:
    study, told = settings.study, []
    for place, (context, weight) in enumerate(zip(plan.contexts, plan.weights, strict=True)):
        own = {batch: [rows[place]] for batch, rows in found.items()}
        choice = choose(own, plan.tokens, (1.0,), confidence=study.confidence,
                        resamples=min(study.resamples, RESAMPLES), seed=study.seed)  # fmt: skip
        told.append({
            "context": context,
            "weight": weight,
            "batches": _rows(settings, plan, own, (1.0,), choice),
            "buckets": buckets(plan.batches, choice.schedule),
            "crossovers": [asdict(fall) for fall in choice.crossovers],
        })  # fmt: skip
    return told


def _rows(
    settings: Settings, plan: Plan, found: dict[int, list[Values]], weights: Sequence[float], choice: Choice
) -> list[dict[str, Any]]:
    """`agreement` is the share of bootstrap samples with the same best length here."""
    return [
        {
            "batch": batch,
            "tokens": choice.schedule[place],
            "agreement": choice.agreement(place),
            "windows": min(len(rows) for rows in found[batch]),
            "options": _options(settings, plan, found[batch], weights),
        }
        for place, batch in enumerate(plan.batches)
    ]


def _options(settings: Settings, plan: Plan, rows: Sequence[Values], weights: Sequence[float]) -> list[dict[str, Any]]:
    """Windows of different contexts are independent; taken together by number they make the units of the mean."""
    size = min(len(each) for each in rows)
    together = np.sum([w * each[:size] for w, each in zip(weights, rows, strict=True)], axis=0)
    options: list[dict[str, Any]] = [{"tokens": 0, "speedup": 1.0, "interval": None}]
    for column, count in enumerate(plan.tokens[1:], start=1):
        measured = {str(place): [float(value)] for place, value in enumerate(together[:, column])}
        interval = interval_of(measured, settings.study)
        options.append({"tokens": count, "speedup": interval.factor, "interval": interval.factor_bounds})
    return options
