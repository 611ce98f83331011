"""Measure one configuration against no speculation; what `python -m autotune.bench` does."""

from __future__ import annotations

import time
import uuid
from dataclasses import replace
from typing import Any

from autotune.conclude import Setting, from_trial
from autotune.context import Context
from autotune.inputs import Inputs, check, open_worker, worker_for
from autotune.leave import leave, running, tracker_for
from autotune.result import Result
from autotune.runner import TrialRunner
from autotune.step_costs import table
from autotune.trust.account import notes_of_measurement, notes_of_watch, of_measurement, of_trials
from autotune.trust.device import watch_of
from autotune.trust.guard import Guard, Guarded
from autotune.worker.client import Worker


def bench(context: Context) -> Result:
    """The method's configured values on the held-out prompts, so that a bench and a study's result can be compared."""
    began = time.perf_counter()
    inputs = check(context.settings, searching=False)
    worker = worker_for(context.settings, inputs)
    worker.begin()
    tracker = tracker_for(context, uuid.uuid4().hex)
    name = f"bench-{context.settings.method.name}-{context.settings.workload.name}"
    try:
        with running(tracker, name, context):
            environment = open_worker(worker, context.settings, inputs, context.display)
            context.display.stretch("measuring", 1.0)
            watch, watched = watch_of(environment)
            guarded = _measured(context, Guard(context.settings.study, watch), worker, inputs)
            outcome, trial = guarded.outcome, guarded.outcome.trial
            if (costs := table(outcome.results, context.settings, environment)) is not None:
                context.folder.write_json("step_costs.json", costs)
            tracker.trial(trial, trial)
            trust, notes = _trust(guarded, watched)
            setting = Setting(context, environment, [trial], None, trust=trust, trust_notes=notes)
            result = from_trial(setting, trial, time.perf_counter() - began, outcome.results)
            leave(context, result, tracker)
    finally:
        worker.close()
    return result


def _measured(context: Context, guard: Guard, worker: Worker, inputs: Inputs) -> Guarded:
    """The trial, written down, and the attempts at it that were not believed."""
    step = guard.looking(context.display.step)
    runner = TrialRunner(worker, context.settings, inputs.counts, step, split="confirm", parts=inputs.parts)
    guarded = guard.run(lambda: runner.run(0, {}), ())
    for attempt, results in enumerate(guarded.invalid, start=1):
        context.folder.write_samples(f"trial-000-invalid-{attempt}", results)
    samples = context.folder.write_samples("trial-000", guarded.outcome.results)
    trial = replace(guarded.outcome.trial, samples=samples)
    context.folder.append_trial(trial)
    return replace(guarded, outcome=replace(guarded.outcome, trial=trial))


def _trust(guarded: Guarded, watched: str) -> tuple[dict[str, Any], list[str]]:
    """For `details.trust`, and for the reader."""
    found, trial = of_measurement(guarded.outcome.results, [guarded.believed]), guarded.outcome.trial
    notes = [*notes_of_measurement(found, "The measurement"), *notes_of_watch(watched)]
    return {**found, **of_trials([trial]), "device_watch": watched}, notes
