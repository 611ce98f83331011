"""Measure one configuration against no speculation; what `python -m autotune.bench` does."""

from __future__ import annotations

import time
import uuid
from dataclasses import replace

from autotune.conclude import Setting, from_trial
from autotune.context import Context
from autotune.inputs import check, open_worker, worker_for
from autotune.leave import leave, running, tracker_for
from autotune.result import Result
from autotune.runner import TrialRunner
from autotune.step_costs import table


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
            given = (worker, context.settings, inputs.counts, context.display.step)
            outcome = TrialRunner(*given, split="confirm", parts=inputs.parts).run(0, {})
            trial = replace(outcome.trial, samples=context.folder.write_samples("trial-000", outcome.results))
            context.folder.append_trial(trial)
            if (costs := table(outcome.results, context.settings, environment)) is not None:
                context.folder.write_json("step_costs.json", costs)
            tracker.trial(trial, trial)
            setting = Setting(context, environment, [trial], None)
            result = from_trial(setting, trial, time.perf_counter() - began, outcome.results)
            leave(context, result, tracker)
    finally:
        worker.close()
    return result
