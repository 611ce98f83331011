"""How requests arrive in this run: from the settings to the workload's `Load`, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from autotune.errors import UsageError
from autotune.metrics import OBJECTIVES, ObjectiveMetric
from autotune.settings import LoadSettings, Settings
from workloads import Load, WorkloadError


def load_of(settings: LoadSettings) -> Load:
    """UsageError for what does not describe a load."""
    try:
        return Load(**{each.name: getattr(settings, each.name) for each in fields(Load)})
    except WorkloadError as error:
        raise UsageError(str(error)) from error


def check_load(settings: Settings) -> None:
    """UsageError for a load that its own rules, the engine's limit or the objective forbid."""
    load = load_of(settings.load)
    try:
        load.check()
    except WorkloadError as error:
        raise UsageError(str(error)) from error
    most = settings.engine.options.get("max_num_seqs")
    if isinstance(most, int) and (load.concurrency or 1) > most:
        raise UsageError(
            f"load.concurrency is {load.concurrency}, more than engine.max_num_seqs={most}; "
            "lower one or raise the other"
        )
    for name in settings.objective.metrics or [settings.objective.metric]:
        _check_objective(OBJECTIVES[name], settings)


def _check_objective(metric: ObjectiveMetric, settings: Settings) -> None:
    if (metric.needs_slo or metric.needs_window) and settings.load.kind == "single":
        raise UsageError(
            f"objective.metric is {metric.name!r}, but load=single serves one request at a time, whatever comes; "
            "choose a load of many requests: closed_loop, poisson, trace, ramp, steps"
        )
    if metric.needs_slo:
        _check_slo(metric.name, settings)


def check_windows(settings: LoadSettings, counts: Mapping[str, int]) -> None:
    """UsageError where the arrivals do not suffice for the prompts."""
    load = load_of(settings)
    try:
        for count in counts.values():
            load.arrivals(count, 0)
    except WorkloadError as error:
        raise UsageError(str(error)) from error


def most_at_once(settings: Settings) -> int:
    """How many requests can be in the engine's batch."""
    load = load_of(settings.load)
    return int(settings.engine.options.get("max_num_seqs") or 1) if load.is_open else load.concurrency or 1


def described(settings: LoadSettings) -> dict[str, Any]:
    """The load for the record: its kind, what that reads, and the targets."""
    slo = settings.slo.given
    return {"kind": settings.kind, **load_of(settings).described, **({"slo": slo} if slo else {})}


def _check_slo(metric: str, settings: Settings) -> None:
    if not settings.load.slo.given:
        raise UsageError(
            f"objective.metric is {metric!r}, but load.slo names no limit; give at least one, "
            "such as load.slo.ttft_ms=200 load.slo.tpot_ms=10 load.slo.e2e_ms=1000"
        )
