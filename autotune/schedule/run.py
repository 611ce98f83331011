"""`study=schedule` from beginning to end: measure, choose, confirm the schedule as a whole."""

from __future__ import annotations

import contextlib
import time
from dataclasses import replace
from typing import Any

from autotune import arms, dialect
from autotune.analysis import Gains, interval_of, verdict
from autotune.conclude import Setting, concluded
from autotune.context import Context
from autotune.errors import RunError
from autotune.inputs import Inputs, check, open_worker, worker_for
from autotune.leave import leave, running, tracker_for
from autotune.metrics import summary
from autotune.result import Result
from autotune.samples import BASELINE
from autotune.schedule import details, table
from autotune.schedule.cells import Bench, Results
from autotune.schedule.confirmation import SCHEDULE, Confirmed, confirmed, options_for, parameters_of
from autotune.schedule.plan import TOKENS, Cell, Plan, at_once, check_prompts, plan_of
from autotune.schedule.search import Ended, Search
from autotune.status import Status
from autotune.stop_rule import Budget
from autotune.study.kept import Kept, open_kept
from autotune.trial import Trial
from autotune.trust.account import notes_of_measurement, notes_of_watch, of_measurement, of_trials
from autotune.trust.device import watch_of
from autotune.trust.guard import Believed, Guard
from autotune.worker.client import Worker
from autotune.worker.protocol import WorkerProblem


def schedule(context: Context) -> Result:
    """A schedule of the method, measured and confirmed."""
    plan = plan_of(context.settings)
    settings = at_once(context.settings, plan.batches[-1])
    context = replace(context, settings=settings)
    inputs = check(settings, searching=True)
    check_prompts(plan, inputs)
    worker = worker_for(settings, inputs)
    worker.begin()
    try:
        with contextlib.closing(open_kept(settings, plan.to_json(), inputs.model)) as kept:
            return Making(context, inputs, plan, worker, kept).run()
    except WorkerProblem as problem:
        raise RunError(
            f"the schedule could not be measured: {problem}; what was measured is kept, repeat the command to go on"
        ) from problem
    finally:
        worker.close()


class Making:
    """One run of one study. The order of writing is: the study's database, the run's folder, the tracking."""

    def __init__(self, context: Context, inputs: Inputs, plan: Plan, worker: Worker, kept: Kept) -> None:
        self._context, self._settings, self._inputs = context, context.settings, inputs
        self._plan, self._worker, self._kept = plan, worker, kept
        self._folder, self._display = context.folder, context.display
        self._tracker = tracker_for(context, kept.key)
        self._budget = Budget(self._settings.study.budget_minutes)
        self._guard = Guard(self._settings.study)
        watch = self._guard.looking(self._display.step)
        self._bench = Bench(worker, self._guard, watch, self._settings.study.max_drift)
        self._trials: list[Trial] = []

    def run(self) -> Result:
        began = time.perf_counter()
        with running(self._tracker, self._kept.name, self._context):
            environment = open_worker(self._worker, self._settings, self._inputs, self._display)
            self._guard.watch, watched = watch_of(environment)
            self._take_up()
            found, ended = self._search()
            self._display.say(table.text(found))
            result = self._concluded(found, environment, watched, ended, began)
            leave(self._context, result, self._tracker)
        self._kept.mark_completed()
        return result

    def _take_up(self) -> None:
        """Write down what an interrupted run had measured, and say so."""
        self._trials = self._kept.trials()
        for trial in self._trials:
            self._folder.append_trial(trial)
        found = {"name": self._kept.name, "storage": self._kept.url, "trials_found": len(self._trials)}
        self._folder.write_json("study.json", found)
        total = len(self._plan.cells) * (len(self._plan.tokens) - 1)
        self._display.plan(total, None)
        if self._trials:
            self._display.say(
                f"study {self._kept.name} goes on: {len(self._trials)} of {total} trials are there already"
            )

    def _search(self) -> tuple[dict[str, Any], Ended]:
        search = Search(self._settings, self._plan, self._bench, self._inputs.counts, self._budget, self._trials,
                        self._write, self._display.stretch)  # fmt: skip
        ended = search.run()
        return details.of_search(self._settings, self._plan, self._trials, search.choice()), ended

    def _write(self, cell: Cell, trials: list[Trial], believed: Believed[Results]) -> list[Trial]:
        name = f"{cell.name}-{trials[0].number:03d}"
        for attempt, results in enumerate(believed.invalid, start=1):
            self._folder.write_samples(f"{name}-invalid-{attempt}", results)
        samples = self._folder.write_samples(name, believed.value)
        written = [replace(trial, samples=samples) for trial in trials]
        self._kept.add(written)
        for trial in written:
            self._folder.append_trial(trial)
            self._tracker.trial(trial, None)
            self._display.trial(trial, None)
        return written

    def _concluded(
        self, found: dict[str, Any], environment: dict[str, Any], watched: str, ended: Ended, began: float
    ) -> Result:
        trust, notes = self._trust(watched)
        said = [*filter(None, [ended.added]), *notes]
        setting = Setting(self._context, environment, self._trials, self._kept.name, None, trust, said, ended.stopped)
        if not found["buckets"][0][2]:
            return self._without(setting, found, time.perf_counter() - began)
        return self._confirmed(setting, found, began)

    def _trust(self, watched: str) -> tuple[dict[str, Any], list[str]]:
        """Of the search: what was doubted, a trial for all that was measured together."""
        entries = [trial for trial in self._trials if trial.parameters[TOKENS] == self._plan.tokens[1]]
        found = of_trials(entries)
        notes = [
            f"What was measured at batch size {trial.parameters['load.concurrency']} is doubted, and used for want of "
            f"better: {trial.reason}."
            for trial in entries
            if trial.status is Status.INVALID
        ]
        if again := len(found["invalid_attempts"]) - len(found["invalid_trials"]):
            measurements = "measurement was" if again == 1 else "measurements were"
            notes.append(f"{again} {measurements} doubted and made again; only the repetition counts.")
        return {**found, "device_watch": watched}, [*notes, *notes_of_watch(watched)]

    def _without(self, setting: Setting, found: dict[str, Any], seconds: float) -> Result:
        note = "At no measured batch size is any draft length faster than no speculation: deploy without it."
        result = concluded(setting, {}, {"schedule": found, "notes": [*setting.sentences, note]}, seconds, speedup=None,
                           interval=None, lossless=True, confirmed=False, metrics={}, baseline={})  # fmt: skip
        return replace(result, speculative_config=None, parameters={})

    def _confirmed(self, setting: Setting, found: dict[str, Any], began: float) -> Result:
        """The schedule and what it is compared with on the held-out prompts, every batch size with equal weight."""
        parameters = parameters_of(found["buckets"])
        options = options_for(self._settings, found["buckets"], found["best_fixed"], found["cutoff"])
        self._display.stretch("confirming", 1.0)
        count = self._inputs.counts["confirm"]
        made = confirmed(self._bench, self._settings, self._plan, options, count, lambda: self._budget.left > 0)
        self._folder.write_samples("confirm", made.results)
        whole, law = interval_of(made.whole, self._settings.study), arms.output_law(self._settings, parameters)
        judged, trust = verdict(made.results, SCHEDULE, law), of_measurement(made.results, made.believed)
        found["confirmed"] = details.of_confirmation(made, whole)
        config = arms.speculative_config(self._settings, parameters) or {}
        self._export(found, config)
        said = [*table.sentences(found), *notes_of_measurement(trust, "The confirmation"), *dialect.notes(config)]
        notes = [*setting.sentences, *said, *([judged.reason] if judged.reason else [])]
        return concluded(
            setting,
            parameters,
            {"schedule": found, "notes": notes, "lossless": judged.to_json(), "interval_method": whole.method,
             "trust": {**setting.trust, "confirmation": trust}, "units": whole.units,
             "prompts": "held out from the search", "log_gains": _flat(made.whole)},
            time.perf_counter() - began,
            speedup=whole.factor,
            interval=whole.factor_bounds,
            lossless=judged.lossless,
            confirmed=whole.above_zero and not judged.reason and not trust["doubts"],
            **_summaries(made),
        )  # fmt: skip

    def _export(self, found: dict[str, Any], config: dict[str, Any]) -> None:
        found["exports"] = dialect.schedules(config, found["buckets"], found["cutoff"])
        for release, exported in found["exports"].items():
            self._folder.write_json(f"speculative_config.{release}.json", exported)


def _summaries(made: Confirmed) -> dict[str, Any]:
    return {
        "metrics": summary([result.runs[SCHEDULE] for result in made.results]),
        "baseline": summary([result.runs[BASELINE] for result in made.results]),
    }


def _flat(measured: Gains) -> dict[str, float]:
    return {unit: sum(values) / len(values) for unit, values in measured.items()}
