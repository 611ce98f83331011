"""From the trials of a schedule's study to arrays of gains: what was measured in which cell, window by window."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from autotune.schedule.choose import Values
from autotune.schedule.plan import TOKENS, Cell, Plan
from autotune.trial import Trial


def of_cell(trials: Sequence[Trial], cell: Cell, tokens: int | None = None) -> list[Trial]:
    """The trials of a cell, with one draft length or all."""
    wanted = cell.parameters if tokens is None else {**cell.parameters, TOKENS: tokens}
    return [trial for trial in trials if wanted.items() <= trial.parameters.items()]


def windows(trials: Sequence[Trial], cell: Cell, tokens: int) -> int:
    """How many windows of the cell are measured."""
    return sum(trial.units_planned for trial in of_cell(trials, cell, tokens))


def rows(trials: Sequence[Trial], cell: Cell, tokens: Sequence[int]) -> Values:
    """[windows, draft lengths], those of no speculation 0; a window that has no value somewhere is left out."""
    columns = [dict(_by_unit(of_cell(trials, cell, count))) for count in tokens if count]
    whole = [unit for unit in columns[0] if all(unit in column for column in columns)]
    return np.array([[0.0, *(column[unit] for column in columns)] for unit in whole]).reshape(len(whole), len(tokens))


def gains(trials: Sequence[Trial], plan: Plan) -> dict[int, list[Values]]:
    """Of all cells."""
    return {
        batch: [rows(trials, Cell(batch, context), plan.tokens) for context in plan.contexts] for batch in plan.batches
    }


def _by_unit(trials: Sequence[Trial]) -> Iterator[tuple[str, float]]:
    for trial in trials:
        for unit, values in trial.own_gains.items():
            yield unit, sum(values) / len(values)
