"""`study=schedule` from beginning to end: measure, choose, confirm the schedule as a whole."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from autotune import arms, dialect
from autotune.analysis import Gains, gains, interval_of, verdict
from autotune.conclude import Setting, concluded
from autotune.context import Context
from autotune.errors import RunError
from autotune.inputs import Inputs, check, open_worker, worker_for
from autotune.leave import leave, running, tracker_for
from autotune.metrics import OBJECTIVES, summary
from autotune.result import Result
from autotune.samples import BASELINE, Arm, UnitResult
from autotune.schedule import table
from autotune.schedule.choose import best_fixed, buckets, crossovers
from autotune.schedule.measure import Windows, gains_by_arm, means, measured
from autotune.schedule.plan import BUCKETS, TOKENS, Plan, at_once, check_prompts, plan_of
from autotune.settings import Settings
from autotune.status import Cause, Status
from autotune.trial import Trial
from autotune.worker.client import Worker
from autotune.worker.protocol import WorkerProblem

SCHEDULE, FIXED = "schedule", "best fixed"


def schedule(context: Context) -> Result:
    """A schedule of the method, measured and confirmed."""
    plan = plan_of(context.settings)
    settings = at_once(context.settings, plan.batches[-1])
    context = replace(context, settings=settings)
    inputs = check(settings, searching=True)
    check_prompts(plan, inputs)
    worker = worker_for(settings, inputs)
    worker.begin()
    tracker = tracker_for(context, uuid.uuid4().hex)
    try:
        with running(tracker, f"schedule-{settings.method.name}-{settings.workload.name}", context):
            environment = open_worker(worker, settings, inputs, context.display)
            result = Making(context, inputs, plan, worker, tracker).run(environment)
            leave(context, result, tracker)
    except WorkerProblem as problem:
        raise RunError(
            f"the schedule could not be measured: {problem}; what was measured is in trials.jsonl"
        ) from problem
    finally:
        worker.close()
    return result


class Making:
    """One run. A trial is one draft length at one batch size."""

    def __init__(self, context: Context, inputs: Inputs, plan: Plan, worker: Worker, tracker: Any) -> None:
        self._context, self._settings, self._inputs = context, context.settings, inputs
        self._plan, self._worker, self._tracker = plan, worker, tracker
        self._metric = OBJECTIVES[self._settings.objective.metric]
        self._trials: list[Trial] = []

    def run(self, environment: dict[str, Any]) -> Result:
        began, plan, study = time.perf_counter(), self._plan, self._settings.study
        self._context.display.plan(len(plan.batches) * (len(plan.tokens) - 1), None)
        found = self._search()
        counts, falls = crossovers(found, plan.tokens, confidence=study.confidence,
                                   resamples=min(study.resamples, 1000), seed=study.seed)  # fmt: skip
        parts, fixed = buckets(plan.batches, counts), best_fixed(means(found), plan.tokens)
        details = {
            "batches": [self._row(batch, counts[place]) for place, batch in enumerate(plan.batches)],
            "buckets": parts,
            "crossovers": [asdict(fall) for fall in falls],
            "best_fixed": fixed,
        }
        self._context.display.say(table.text(details))
        setting = Setting(self._context, environment, self._trials, None)
        if counts[0] == 0:
            return self._without(setting, details, time.perf_counter() - began)
        return self._confirmed(setting, details, began)

    def _search(self) -> dict[int, Any]:
        """Log-gains [windows, draft lengths] by batch size."""
        options = [_arm(self._settings, {TOKENS: count}, str(count)) for count in self._plan.tokens[1:]]
        names, found = [BASELINE, *(arm.name for arm in options)], {}
        display = self._context.display
        display.stretch("measuring", 2.0)
        for batch, results in self._measured("search", options, self._settings.load.passes):
            found[batch] = gains_by_arm(results, names, self._metric)
            if len(found[batch]) < 2:
                raise RunError(f"batch size {batch} has no two windows with a value; raise workload.max_tokens")
            samples = self._context.folder.write_samples(f"batch-{batch:03d}", results)
            for arm in options:
                self._keep(batch, arm, results, samples)
        return found

    def _measured(self, split: str, options: Sequence[Arm], passes: int) -> Any:
        windows = Windows(split, self._inputs.counts[split], passes)
        every = [arms.baseline(self._settings), *options]
        return measured(self._worker, every, self._plan.batches, windows, self._context.display.step)

    def _keep(self, batch: int, arm: Arm, results: list[UnitResult], samples: str) -> None:
        own = gains(results, arm.name, self._metric)
        interval, law = interval_of(own, self._settings.study), arms.output_law(self._settings, {})
        judged = verdict(results, arm.name, law)
        trial = Trial(
            len(self._trials),
            {"load.concurrency": batch, TOKENS: int(arm.name)},
            Status.FAILED if judged.reason else Status.COMPLETE,
            Cause.LOSSY if judged.reason else Cause.NONE,
            judged.reason,
            speedup=interval.factor,
            interval=interval.factor_bounds,
            interval_method=interval.method,
            units=len(own),
            units_planned=len(results),
            lossless=judged.to_json(),
            metrics=summary([result.runs[arm.name] for result in results]),
            baseline=summary([result.runs[BASELINE] for result in results]),
            gains=own,
            samples=samples,
            output_law=law,
        )
        self._trials.append(trial)
        self._context.folder.append_trial(trial)
        self._tracker.trial(trial, None)
        self._context.display.trial(trial, None)
        if judged.reason:
            raise RunError(f"{arm.name} tokens at batch size {batch}: {judged.reason}")

    def _row(self, batch: int, chosen: int) -> dict[str, Any]:
        here = [trial for trial in self._trials if trial.parameters["load.concurrency"] == batch]
        options = [{"tokens": t.parameters[TOKENS], "speedup": t.speedup, "interval": t.interval} for t in here]
        return {
            "batch": batch,
            "tokens": chosen,
            "options": [{"tokens": 0, "speedup": 1.0, "interval": None}, *options],
        }

    def _without(self, setting: Setting, details: dict[str, Any], seconds: float) -> Result:
        note = "At no measured batch size is any draft length faster than no speculation: deploy without it."
        result = concluded(setting, {}, {"schedule": details, "notes": [note]}, seconds, speedup=None, interval=None,
                           lossless=True, confirmed=False, metrics={}, baseline={})  # fmt: skip
        return replace(result, speculative_config=None, parameters={})

    def _confirmed(self, setting: Setting, details: dict[str, Any], began: float) -> Result:
        """The schedule and the best fixed length on the held-out prompts, every batch size with equal weight."""
        parameters = parameters_of(details["buckets"])
        options = [_arm(self._settings, parameters, SCHEDULE)]
        if details["best_fixed"] and BUCKETS in parameters:
            options.append(_arm(self._settings, {TOKENS: details["best_fixed"]}, FIXED))
        self._context.display.stretch("confirming", 1.0)
        results = [
            r for _, found in self._measured("confirm", options, self._settings.load.confirm_passes) for r in found
        ]
        self._context.folder.write_samples("confirm", results)
        measured, law = self._over_batches(results, BASELINE), arms.output_law(self._settings, parameters)
        whole, judged = interval_of(measured, self._settings.study), verdict(results, SCHEDULE, law)
        details["confirmed"] = {"speedup": whole.factor, "interval": whole.factor_bounds, "units": whole.units,
                                "against_best_fixed": self._against(results, options)}  # fmt: skip
        config = arms.speculative_config(self._settings, parameters) or {}
        details["exports"] = dialect.schedules(config, details["buckets"])
        for release, exported in details["exports"].items():
            self._context.folder.write_json(f"speculative_config.{release}.json", exported)
        notes = [*table.sentences(details), *dialect.notes(config), *([judged.reason] if judged.reason else [])]
        return concluded(
            setting,
            parameters,
            {"schedule": details, "notes": notes, "lossless": judged.to_json(), "interval_method": whole.method,
             "units": whole.units, "prompts": "held out from the search", "log_gains": _flat(measured)},
            time.perf_counter() - began,
            speedup=whole.factor,
            interval=whole.factor_bounds,
            lossless=judged.lossless,
            confirmed=whole.above_zero and not judged.reason,
            metrics=summary([result.runs[SCHEDULE] for result in results]),
            baseline=summary([result.runs[BASELINE] for result in results]),
        )  # fmt: skip

    def _against(self, results: Sequence[UnitResult], options: Sequence[Arm]) -> dict[str, Any] | None:
        if len(options) == 1:
            return None
        found = interval_of(self._over_batches(results, FIXED), self._settings.study)
        return {"speedup": found.factor, "interval": found.factor_bounds}

    def _over_batches(self, results: Sequence[UnitResult], against: str) -> Gains:
        """The schedule's gain by window, the mean over all batch sizes: these are given and no sample, so that what
        differs between them is no noise.
        """
        by_window: dict[str, list[float]] = {}
        for unit, values in gains(results, SCHEDULE, self._metric, against=against).items():
            by_window.setdefault(unit.partition("-window-")[2], []).extend(values)
        whole = {w: values for w, values in by_window.items() if len(values) == len(self._plan.batches)}
        if len(whole) < 2:
            raise RunError("no two windows have a value at every batch size; raise workload.max_tokens")
        return {f"window-{w}": [sum(values) / len(values)] for w, values in whole.items()}


def parameters_of(parts: list[list[int]]) -> dict[str, Any]:
    """A schedule of one bucket is none."""
    whole = {TOKENS: parts[0][2]}
    return whole if len(parts) == 1 else {**whole, BUCKETS: parts}


def _arm(settings: Settings, parameters: dict[str, Any], name: str) -> Arm:
    return arms.candidate(settings, parameters, name)


def _flat(measured: Gains) -> dict[str, float]:
    return {unit: sum(values) / len(values) for unit, values in measured.items()}
