"""Measure arms at every batch size: all of a batch size's arms on the same windows of prompts, in turns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from autotune.analysis import gain
from autotune.metrics import ObjectiveMetric
from autotune.plan import arm_order
from autotune.runner import Watcher
from autotune.samples import BASELINE, Arm, UnitResult
from autotune.schedule.choose import Values
from autotune.worker.client import Worker


@dataclass(frozen=True)
class Windows:
    """How often which prompts are served."""

    split: str
    num_prompts: int
    passes: int


def measured(
    worker: Worker, arms: Sequence[Arm], batches: Sequence[int], windows: Windows, watch: Watcher
) -> Iterator[tuple[int, list[UnitResult]]]:
    """The results of every batch size, as soon as they are there."""
    names, everything = [arm.name for arm in arms], range(windows.num_prompts)
    for place, batch in enumerate(batches):
        worker.prepare(arms, windows.split, batch)
        results = []
        for window in range(windows.passes):
            watch(place * windows.passes + window, len(batches) * windows.passes)
            unit = f"batch-{batch}-window-{window}"
            results.append(worker.measure(unit, windows.split, everything, 0, arm_order(names, window)))
        yield batch, results


def gains_by_arm(results: Sequence[UnitResult], arms: Sequence[str], metric: ObjectiveMetric) -> Values:
    """Log-gains over the baseline [windows, arms]; the baseline's own are 0. A window that has no value is left out."""
    rows = []
    for result in results:
        base = metric.value([result.runs[BASELINE]])
        row = [gain(base, metric.value([result.runs[arm]]), metric) for arm in arms]
        if None not in row:
            rows.append(row)
    return np.array(rows, dtype=float)


def means(gains: Mapping[int, Values]) -> dict[int, list[float]]:
    return {batch: values.mean(axis=0).tolist() for batch, values in gains.items()}
