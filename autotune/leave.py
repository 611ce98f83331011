"""What a run leaves behind, in its folder and in the tracking; the same for a study and for a single measurement."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from autotune import arms
from autotune.context import Context
from autotune.dialect import refusal
from autotune.measurement import measurement_of, named
from autotune.report.write import write_report
from autotune.result import Result
from autotune.settings import Settings
from autotune.study.naming import without_password
from autotune.tracking.flatten import factor_numbers
from autotune.tracking.tags import of_result, of_study
from autotune.tracking.tracker import Tracker
from engine.metrics.totals import Drafting


def tracker_for(context: Context, key: str) -> Tracker:
    return Tracker(context.settings.tracking, Path(context.settings.outputs) / "spool", key, context.display.say)


def running(tracker: Tracker, name: str, context: Context) -> AbstractContextManager[None]:
    """The tracked run, described by what was measured."""
    everything = asdict(context.settings)
    params = {
        key: everything[key]
        for key in ("model", "method", "workload", "load", "objective", "study", "engine", "constraints")
    }
    params["method"] |= {method["name"]: _given(method) for method in everything["methods"]}
    params["study"] = {**params["study"], "storage": without_password(str(context.settings.study.storage or ""))}
    tags = {
        **of_study(context.settings, name, measurement_of(context.settings).kind),
        "output_law": arms.configured_law(context.settings),
        "command": context.command,
        "command_line": context.command_line,
        "mlflow.source.name": "python -m autotune" + ("" if context.command == "tune" else f".{context.command}"),
        "mlflow.source.type": "LOCAL",
        "outputs": str(context.folder.path),
    }
    return tracker.running(name, context.sweep_key, params, tags)


def _given(method: dict[str, Any]) -> dict[str, Any]:
    """Of one method of several what is set, so that the list of all stays readable."""
    config = {key: value for key, value in method["speculative_config"].items() if value is not None}
    return {**config, "search": method["search"]}


def leave(context: Context, result: Result, tracker: Tracker) -> None:
    """best.json, speculative_config.json (if vLLM can be told it), prometheus.txt and report.html; then everything to
    the tracking.
    """
    folder = context.folder
    folder.write_json("best.json", result.best())
    if not refusal(result.output_law):
        folder.write_json("speculative_config.json", result.best()["speculative_config"])
    counters = folder.counters.text(context.settings.model.name, drafting(context.settings))
    folder.write_text("prometheus.txt", counters)
    write_report(folder.path)
    tracker.finish(
        tracked(result),
        of_result(result),
        folder.artifacts(),
    )


def drafting(settings: Settings) -> Drafting:
    """What all drafting arms of the run have in common; a law that was searched over is nobody's."""
    config = arms.speculative_config(settings, {}) or {}
    method = settings.method.name if settings.methods else config.get("method", "none")
    blocks = (*(method.search for method in settings.all_methods), settings.search.get("method") or {})
    searched = any(block.get("rejection_sample_method") is not None for block in blocks)
    return Drafting(method, "searched" if searched else arms.configured_law(settings))


def tracked(result: Result) -> dict[str, Any]:
    """The confirmed numbers, by MLflow names."""
    low, high = result.interval or (None, None)
    factors = {"speedup": result.speedup, "speedup_low": low, "speedup_high": high}
    confirmed: dict[str, Any] = {named(name, result.output_law): value for name, value in factors.items()}
    for one in result.details.get("objectives", ())[1:]:
        confirmed[f"factor.{one['name']}"] = factor_numbers(one["factor"], one["interval"])
    each = result.details.get("robust", {}).get("confirmed", {})
    by_workload = {named("speedup_by_workload", result.output_law): {w: one["speedup"] for w, one in each.items()}}
    return {
        **confirmed,
        **by_workload,
        **result.metrics,
        "baseline": dict(result.baseline),
        "trials": dict(result.trials),
    }
