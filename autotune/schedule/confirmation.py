"""The schedule as a whole on held-out prompts: against no speculation, the best fixed length, and the best cutoff."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from autotune import arms
from autotune.analysis import Gains, gains, interval_of
from autotune.enough import half_width, most_passes
from autotune.errors import RunError
from autotune.metrics import OBJECTIVES
from autotune.samples import BASELINE, Arm, UnitResult
from autotune.schedule.cells import Bench, Results, baseline_times, window_of
from autotune.schedule.plan import BUCKETS, TOKENS, Cell, Plan
from autotune.settings import Settings
from autotune.trust.drift import Times
from autotune.trust.guard import Believed

SCHEDULE, FIXED, CUTOFF = "schedule", "best fixed", "best cutoff"


@dataclass(frozen=True)
class Confirmed:
    """`whole` are the schedule's log-gains by window, over all cells; `believed` what the guard said of each cell."""

    results: list[UnitResult]
    believed: list[Believed[Results]]
    whole: Gains
    against: dict[str, dict[str, Any]]


def options_for(settings: Settings, parts: list[list[int]], fixed: int, cutoff: list[list[int]]) -> list[Arm]:
    """The schedule, and what it is compared with where that is something else."""
    chosen = parameters_of(parts)
    others = {FIXED: {TOKENS: fixed} if fixed else {}, CUTOFF: parameters_of(cutoff)}
    found = [arms.candidate(settings, chosen, SCHEDULE)]
    seen = [chosen]
    for name, parameters in others.items():
        if parameters.get(TOKENS) and parameters not in seen:
            found.append(arms.candidate(settings, parameters, name))
            seen.append(parameters)
    return found


def confirmed(
    bench: Bench, settings: Settings, plan: Plan, options: Sequence[Arm], count: int, in_budget: Callable[[], bool]
) -> Confirmed:
    """The planned windows in every cell, and more where study.precision asks for more; `count` prompts each."""
    every, load = [arms.baseline(settings), *options], settings.load
    believed: list[Believed[Results]] = []
    windows, most = range(load.confirm_passes), most_passes(load.confirm_passes, settings)
    while True:
        for cell in plan.cells:
            earlier = _times(plan, believed)
            believed.append(bench.measured(cell, "confirm", every, count, windows, earlier))
        results = [result for each in believed for result in each.value]
        whole = over_cells(results, settings, plan, BASELINE)
        if windows.stop >= most or _narrow(whole, settings) or not in_budget():
            break
        windows = range(windows.stop, windows.stop + 1)
    others = [arm.name for arm in options if arm.name != SCHEDULE]
    against = {name: _against(over_cells(results, settings, plan, name), settings) for name in others}
    return Confirmed(results, believed, whole, against)


def over_cells(results: Sequence[UnitResult], settings: Settings, plan: Plan, against: str) -> Gains:
    """The schedule's gain by window, the mean over batch sizes and the weighted mean over contexts: these are given and
    no sample, so that what differs between them is no noise.
    """
    shares = {cell.name: weight_of(plan, cell) / len(plan.batches) for cell in plan.cells}
    metric = OBJECTIVES[settings.objective.metric]
    by_window: dict[int, dict[str, float]] = {}
    for unit, values in gains(results, SCHEDULE, metric, against=against).items():
        by_window.setdefault(window_of(unit), {})[unit.rpartition("-window-")[0]] = sum(values) / len(values)
    whole = {number: cells for number, cells in by_window.items() if len(cells) == len(shares)}
    if len(whole) < 2:
        raise RunError("no two windows have a value at every batch size; raise workload.max_tokens")
    return {f"window-{n}": [sum(shares[c] * gain for c, gain in cells.items())] for n, cells in whole.items()}


def weight_of(plan: Plan, cell: Cell) -> float:
    return plan.weights[plan.contexts.index(cell.context)]


def parameters_of(parts: Sequence[Sequence[int]]) -> dict[str, Any]:
    """A schedule of one bucket is none."""
    whole: dict[str, Any] = {TOKENS: parts[0][2]}
    return whole if len(parts) == 1 else {**whole, BUCKETS: [list(part) for part in parts]}


def _narrow(whole: Gains, settings: Settings) -> bool:
    half, wanted = half_width(whole, settings.study.confidence), settings.study.precision
    return wanted is None or (half is not None and half <= wanted)


def _against(measured: Gains, settings: Settings) -> dict[str, Any]:
    found = interval_of(measured, settings.study)
    return {"speedup": found.factor, "interval": found.factor_bounds}


def _times(plan: Plan, believed: Sequence[Believed[Results]]) -> list[Times]:
    cells = plan.cells
    return [baseline_times(cells[place % len(cells)], each.value) for place, each in enumerate(believed)]
