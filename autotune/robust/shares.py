"""The metrics of an arm, and where several workloads are measured the telling ones of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autotune.metrics import summary
from autotune.robust.mix import MARK
from autotune.samples import ArmRun, UnitResult

BY_WORKLOAD = "by_workload"
TELLING = ("acceptance_rate", "mean_acceptance_length", "tokens_per_target_pass", "output_tokens_per_s")


def summary_of(results: Sequence[UnitResult], arm: str) -> dict[str, Any]:
    """All metrics of the arm's runs together, and BY_WORKLOAD some of the runs of each."""
    by_workload: dict[str, list[ArmRun]] = {}
    for result in results:
        workload, mark, _ = result.unit.partition(MARK)
        if mark:
            by_workload.setdefault(workload, []).append(result.runs[arm])
    found = {workload: _telling(runs) for workload, runs in by_workload.items()}
    return summary([result.runs[arm] for result in results]) | ({BY_WORKLOAD: found} if found else {})


def _telling(runs: Sequence[ArmRun]) -> dict[str, Any]:
    everything = summary(runs)
    tpot = everything["tpot_ms"]
    return {"tpot_ms": {level: tpot[level] for level in ("p50", "mean")}, **{k: everything[k] for k in TELLING}}
