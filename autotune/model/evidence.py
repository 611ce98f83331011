"""What the model keeps of a trial: per unit the counts of its drafts, and what its steps cost in steps of the baseline.

A step's cost is a ratio to the baseline's step in the same unit, so that a machine that is slow for a while is no news.
Plain data, a few hundred bytes a unit; it is stored in the trial's record, so a study that is taken up again knows it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from statistics import fmean
from typing import Any

from autotune.metrics import counters_of, wall_of
from autotune.samples import BASELINE, CANDIDATE, ArmRun, UnitResult
from engine.step_stats import BatchSteps

TRIMMED = 0.1


@dataclass(frozen=True)
class StepCost:
    """`steps` with `batch` decoding requests and `rows` each (1 + drafted tokens; a mean where batch is above 1) cost
    `cost` steps of the baseline.
    """

    batch: int
    rows: float
    cost: float
    steps: int


@dataclass(frozen=True)
class Evidence:
    """One unit of one trial. `base_passes` is how often the baseline ran the target for the same tokens.

    `drafted[i]` drafts reached position i, `accepted[i]` of them had it accepted. `nodes` counts drafted tokens, more
    than positions in a tree. `draft_cost` is the drafting part of a mean step, `fixed` the share of the baseline's time
    that is no decoding. Of a static tree `tried_nodes`, `accepted_nodes` as in the counters.
    """

    base_passes: int
    passes: int
    drafts: int
    nodes: int
    drafted: tuple[int, ...]
    accepted: tuple[int, ...]
    draft_cost: float
    fixed: float
    costs: tuple[StepCost, ...]
    tried_nodes: tuple[int, ...] = ()
    accepted_nodes: tuple[int, ...] = ()

    @property
    def mean_levels(self) -> float:
        """Levels drafted in a mean pass, passes without a draft counted."""
        return sum(self.drafted) / self.passes


Units = dict[str, Evidence]


def evidence_of(results: Sequence[UnitResult]) -> dict[str, Any]:
    """By unit, as plain data; units in which one of the arms decoded nothing are left out."""
    by_unit: dict[str, list[UnitResult]] = {}
    for result in results:
        by_unit.setdefault(result.unit, []).append(result)
    found = {unit: _of_unit(visits) for unit, visits in by_unit.items()}
    return {unit: asdict(each) for unit, each in found.items() if each is not None}


def read(plain: Mapping[str, Any]) -> Units:
    """The way back from a record."""
    return {unit: _from_plain(each) for unit, each in plain.items()}


def _from_plain(plain: Mapping[str, Any]) -> Evidence:
    known = {field.name: plain[field.name] for field in fields(Evidence) if field.name in plain}
    for name in ("drafted", "accepted", "tried_nodes", "accepted_nodes"):
        known[name] = tuple(known.get(name, ()))
    known["costs"] = tuple(StepCost(**point) for point in known["costs"])
    return Evidence(**known)


def _of_unit(visits: Sequence[UnitResult]) -> Evidence | None:
    base, mine = ([visit.runs[arm] for visit in visits] for arm in (BASELINE, CANDIDATE))
    plain, counts = counters_of(base), counters_of(mine)
    if not plain.decode_passes or not counts.decode_passes:
        return None
    stepping = counts.draft_s + counts.target_s + counts.verify_s + counts.other_s
    costs = _costs(base, mine)
    mean = _mean_cost(costs)
    return Evidence(
        base_passes=plain.decode_passes,
        passes=counts.decode_passes,
        drafts=counts.drafts,
        nodes=counts.draft_tokens,
        drafted=counts.drafted_per_pos,
        accepted=counts.accepted_per_pos,
        draft_cost=mean * counts.draft_s / stepping if stepping else 0.0,
        fixed=_fixed(base),
        costs=tuple(costs),
        tried_nodes=counts.tried_nodes,
        accepted_nodes=counts.accepted_nodes,
    )


def _costs(base: Sequence[ArmRun], mine: Sequence[ArmRun]) -> list[StepCost]:
    if any(run.cost is not None for run in mine):
        return _replayed(mine)
    return _alone(base, mine) if any(run.step_seconds for run in mine) else _together(base, mine)


def _alone(base: Sequence[ArmRun], mine: Sequence[ArmRun]) -> list[StepCost]:
    """One request at a time: exact rows."""
    one = _seconds(base).get(1)
    if not one:
        return []
    return [StepCost(1, rows, trimmed(times) / trimmed(one), len(times)) for rows, times in _seconds(mine).items()]


def _seconds(runs: Sequence[ArmRun]) -> dict[int, list[float]]:
    found: dict[int, list[float]] = {}
    for run in runs:
        for rows, times in run.step_seconds.items():
            found.setdefault(rows, []).extend(times)
    return found


def _together(base: Sequence[ArmRun], mine: Sequence[ArmRun]) -> list[StepCost]:
    """Many requests at a time: mean rows, against the baseline's steps of the same batch."""
    without, found = _by_batch(base), []
    for batch, steps in _by_batch(mine).items():
        plain = without[batch].mean if batch in without else None
        if batch and plain and steps.mean and (timed := steps.steps - steps.prompt_steps):
            found.append(StepCost(batch, 1 + steps.drafted / (batch * steps.steps), steps.mean / plain, timed))
    return found


def _by_batch(runs: Sequence[ArmRun]) -> dict[int, BatchSteps]:
    found: dict[int, BatchSteps] = {}
    for run in runs:
        for batch, steps in run.steps_by_batch.items():
            found.setdefault(batch, BatchSteps()).add(steps)
    return found


def _replayed(mine: Sequence[ArmRun]) -> list[StepCost]:
    """A replay: what its steps were said to cost, at their mean rows."""
    counts, cost = counters_of(mine), sum(run.cost or 0.0 for run in mine)
    passes = counts.decode_passes
    return [StepCost(1, 1 + counts.draft_tokens / passes, cost / passes, passes)]


def trimmed(times: Sequence[float]) -> float:
    """The mean without the slowest tenth: a shared machine can only make a step slower."""
    return fmean(sorted(times)[: max(1, round(len(times) * (1 - TRIMMED)))])


def _mean_cost(costs: Sequence[StepCost]) -> float:
    steps = sum(point.steps for point in costs)
    return sum(point.cost * point.steps for point in costs) / steps if steps else 0.0


def _fixed(base: Sequence[ArmRun]) -> float:
    """The share of the baseline's time in which it computed prompts: by request where they came alone, else by step."""
    alone = [r for run in base if run.step_seconds for r in run.requests if r.e2e and r.ttft is not None]
    if alone:
        return sum(r.ttft or 0.0 for r in alone) / sum(r.e2e or 0.0 for r in alone)
    decoding = sum(steps.seconds for batch, steps in _by_batch(base).items() if batch)
    wall = wall_of(base)
    return min(0.95, max(0.0, 1 - decoding / wall)) if wall and decoding else 0.0
