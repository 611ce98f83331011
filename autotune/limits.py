"""Which trials keep the constraints, and how a run says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from autotune.constraints import Constraint, Found, broken, found_in
from autotune.status import Cause, Status
from autotune.trial import Trial


def judged(trial: Trial, constraints: Sequence[Constraint]) -> Trial:
    """The trial with its violations; a complete one that keeps not all limits is infeasible."""
    if not constraints or trial.status not in (Status.COMPLETE, Status.PRUNED):
        return trial
    found = found_in(constraints, trial.metrics, trial.speedup)
    trial = replace(trial, violations={each.constraint.key: each.violation for each in found})
    if trial.status is Status.PRUNED or not broken(found):
        return trial
    reason = "; ".join(map(str, broken(found)))
    return replace(trial, status=Status.INFEASIBLE, cause=Cause.LIMITS, reason=reason)


def nobody(trials: Sequence[Trial], constraints: Sequence[Constraint]) -> str:
    """Where no trial kept all limits: which came closest, and what it would have needed; else empty."""
    over = [trial for trial in trials if trial.cause is Cause.LIMITS]
    if not over:
        return ""
    closest = min(over, key=_distance)
    missed = broken(found_in(constraints, closest.metrics, closest.speedup))
    without = {each.constraint: each.constraint.value(closest.baseline, 1.0) for each in missed}
    sentences = (
        f"{each} ({100 * each.violation:.1f} % off; {number(without[each.constraint])} without speculation)"
        for each in missed
    )
    count = (
        f"None of {len(over)} measured configurations" if len(over) > 1 else "The one measured configuration has not"
    )
    return f"{count} kept {together(constraints)}. Trial {closest.number + 1} came closest: {'; '.join(sentences)}."


def together(constraints: Sequence[Constraint]) -> str:
    return ", ".join(constraint.words for constraint in constraints)


def number(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.4g}"


def _distance(trial: Trial) -> float:
    """The sum of what is over, as the sampler sees it."""
    return sum(max(0.0, violation) for violation in trial.violations.values())


def record(search: Sequence[Found], held_out: Sequence[Found]) -> list[dict[str, Any]]:
    """For details.constraints: every limit with the value in the search and on the held-out prompts."""
    return [
        {"name": h.constraint.name, "bound": h.constraint.bound, "limit": h.constraint.limit, "search": s.value,
         "held_out": h.value, "violation": h.violation, "kept": h.kept}
        for s, h in zip(search, held_out, strict=True)
    ]  # fmt: skip


def said(held_out: Sequence[Found]) -> list[str]:
    """A sentence for the reader of the result; none where nothing was limited."""
    if not held_out:
        return []
    over = broken(held_out)
    if over:
        return [f"On the held-out prompts a limit is not kept: {'; '.join(map(str, over))}."]
    kept = ", ".join(f"{each.constraint.words} ({number(each.value)})" for each in held_out)
    return [f"All limits are kept on the held-out prompts: {kept}."]
