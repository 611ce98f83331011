"""A study from beginning to end: search, confirm, conclude."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from autotune import notes
from autotune.choice import finalists
from autotune.conclude import Setting, from_confirmation, without_winner
from autotune.confirm import Confirmation, confirm
from autotune.context import Context
from autotune.errors import RunError
from autotune.inputs import Inputs, check, open_worker, worker_for
from autotune.joined import record_of, result_from
from autotune.leave import leave, running, tracker_for
from autotune.model.account import account
from autotune.model.advisor import Advisor
from autotune.model.evidence import evidence_of
from autotune.objectives import objectives_of
from autotune.result import Result
from autotune.robust.choose import ahead, ordered
from autotune.runner import TrialRunner
from autotune.search_space import words
from autotune.status import Cause, Status
from autotune.stop_rule import Budget, StopRule, usual_seconds
from autotune.study.grown import Growth
from autotune.study.open import OpenStudy, open_study
from autotune.trial import Trial, ranking
from autotune.trust.account import notes as doubts
from autotune.trust.account import notes_of_watch, trusted
from autotune.trust.device import watch_of
from autotune.trust.effects import Knobs
from autotune.trust.guard import Guard, own_machine
from autotune.trust.knobs import checked, contenders
from autotune.worker.client import Worker


def tune(context: Context) -> Result:
    """Search the method's knobs, confirm the best, and leave everything in the run's folder."""
    inputs = check(context.settings, searching=True)
    worker = worker_for(context.settings, inputs)
    worker.begin()  # loads while the study and the tracking are opened
    try:
        study = open_study(context.settings, inputs.space, inputs.model, context.display.say)
        with contextlib.closing(study):
            return Tuning(context, inputs, study, worker).run()
    finally:
        worker.close()


class Tuning:
    """One run of one study. The order of writing is: the study's database, the run's folder, the tracking."""

    def __init__(self, context: Context, inputs: Inputs, study: OpenStudy, worker: Worker) -> None:
        self._context, self._settings, self._inputs = context, context.settings, inputs
        self._study, self._ledger, self._worker = study, study.ledger, worker
        self._display, self._folder = context.display, context.folder
        self._advisor = Advisor(self._settings, inputs.space)
        self._budget = Budget(self._settings.study.budget_minutes)
        self._guard = Guard(self._settings.study)
        self._objectives = objectives_of(self._settings)
        watch = self._guard.looking(self._display.step)
        self._runner = TrialRunner(worker, self._settings, inputs.counts, watch, parts=inputs.parts)
        self._tracker = tracker_for(context, study.ledger.key)
        size, wanted = inputs.space.size, self._settings.study.n_trials
        self._total = wanted if size is None else min(wanted, size)
        self._growth = Growth(study.ledger, inputs.space)
        self._failures = 0
        self._written: set[int] = set()
        rule = (self._settings.study, self._total, self._runner.confirm_weight, self._budget, self._nothing_left)
        self._stop = StopRule(*rule)

    def run(self) -> Result:
        began = time.perf_counter()
        with running(self._tracker, self._ledger.run_name, self._context):
            environment = open_worker(self._worker, self._settings, self._inputs, self._display)
            self._guard.watch, watched = watch_of(environment)
            self._take_up()
            while (stopped := self._stopped(trials := self._finished())) is None:
                self._one_trial(trials)
            if stopped:
                self._display.say(stopped)
            self._ledger.end_search()
            self._finished()
            result = self._concluded(environment, began, stopped, watched)
            leave(self._context, result, self._tracker)
        self._ledger.mark_completed()
        return result

    def _take_up(self) -> None:
        """Write down what an interrupted run of this study had measured, and say what is ahead."""
        trials = self._records()
        for trial in trials:
            self._write(trial)
        study = {"name": self._ledger.name, "storage": self._study.url, "trials_found": len(trials)}
        self._folder.write_json("study.json", study)
        self._display.plan(self._total, next(iter(ranking(trials)), None))
        if text := words(self._settings):
            self._display.say(text)
        if self._objectives.several:
            self._display.say(f"several objectives: {notes.of_several(self._objectives, self._settings.study.model)}")
        if trials:
            self._display.say(
                f"study {self._ledger.name} goes on: {len(trials)} of {self._total} trials are there already"
            )
        elif self._total < self._settings.study.n_trials:
            points = "one configuration" if self._total == 1 else f"{self._total} configurations"
            self._display.say(
                f"the space has {points}, so {self._total} of {self._settings.study.n_trials} trials are enough"
            )

    def _finished(self) -> list[Trial]:
        """All that ended. What other workers measured is written down and shown like our own."""
        trials = self._records()
        for trial in trials:
            if trial.number not in self._written:
                self._write(trial)
                self._display.trial(trial, next(iter(ranking(trials)), None))
        return trials

    def _records(self) -> list[Trial]:
        """Scored by the rule of this command, which may be another than that of the run before."""
        return [self._objectives.scored(trial) for trial in self._ledger.finished()]

    def _write(self, trial: Trial) -> None:
        self._written.add(trial.number)
        self._folder.append_trial(trial)

    def _stopped(self, trials: list[Trial]) -> str | None:
        """Why no further trial begins, "" where that was the plan; None where one does. What was only predicted is no
        trial, but done with: all points of a small space are gone through.
        """
        self._advisor.learn(trials)
        measured = [trial for trial in trials if trial.status is not Status.PREDICTED]
        done = len(trials) if self._total == self._inputs.space.size else len(measured)
        return "" if self._ledger.closed else self._stop.reason(measured, done)

    def _nothing_left(self) -> str:
        if self._total == self._inputs.space.size or not self._advisor.nothing_left:
            return ""
        return "no configuration is left that could win"

    def _one_trial(self, trials: list[Trial]) -> None:
        self._growth.propose(trials)
        self._advisor.propose(self._ledger)
        if (asked := self._ledger.ask()) is None:
            return
        number, parameters = asked
        left_out = self._advisor.left_out(number, parameters)
        trial = left_out or self._measured(number, parameters, trials)
        trial = self._ledger.signed(trial)
        if not self._ledger.tell(trial):
            self._display.say(f"trial {number + 1} was taken over while this worker stood still; discarded here")
            return
        self._write(trial)
        best = next(iter(ranking([*trials, trial])), None)
        self._tracker.trial(trial, best)
        self._display.trial(trial, best)
        if left_out is None:
            self._give_up_after(trial)

    def _measured(self, number: int, parameters: dict, trials: list[Trial]) -> Trial:
        ahead = self._total - len(trials) + self._runner.confirm_weight
        self._display.stretch(f"trial {number + 1}/{self._total}", ahead)
        run, mine = partial(self._runner.run, number, parameters, trials), own_machine(trials, self._ledger.worker)
        guarded = self._guard.run(run, mine)
        for attempt, results in enumerate(guarded.invalid, start=1):
            self._folder.write_samples(f"trial-{number:03d}-invalid-{attempt}", results)
        outcome = guarded.outcome
        return replace(
            outcome.trial,
            samples=self._folder.write_samples(f"trial-{number:03d}", outcome.results),
            prediction=self._advisor.prediction(parameters),
            evidence=evidence_of(outcome.results),
        )

    def _give_up_after(self, trial: Trial) -> None:
        """A worker that fails again and again has a reason that no parameter mends."""
        self._failures = self._failures + 1 if trial.cause in (Cause.CRASHED, Cause.HUNG) else 0
        if self._failures >= self._settings.study.max_failures:
            raise RunError(
                f"{self._failures} trials in a row failed, the last with: {trial.reason}; "
                "mend that and repeat the command"
            )

    def _concluded(self, environment: dict, began: float, stopped: str, watched: str) -> Result:
        """Our own conclusion, or that of the worker that was first."""
        made: list[Result] = []

        def make() -> dict:
            made.append(self._conclude(environment, began, stopped, watched))
            return record_of(made[-1], self._ledger.worker)

        theirs = self._ledger.conclude(make)
        return made[-1] if theirs is None else result_from(theirs, str(self._folder.path))

    def _conclude(self, environment: dict, began: float, stopped: str, watched: str) -> Result:
        trials = self._records()
        knobs = self._knobs(trials)
        found = ordered(contenders(trials, knobs.dead, self._inputs.space, self._settings), self._settings.mix)
        told = account(trials, self._advisor.model, self._advisor.on)
        trust, doubted = trusted(trials, knobs, watched), [*doubts(trials, knobs), *notes_of_watch(watched)]
        setting = Setting(self._context, environment, trials, self._ledger.name, told, trust, doubted, stopped, found)
        if not found:
            return without_winner(setting, time.perf_counter() - began)
        confirmation = self._confirm(
            finalists(found, self._settings.study), lambda one: ahead(one, found, self._settings.mix)
        )
        return from_confirmation(setting, confirmation, time.perf_counter() - began)

    def _knobs(self, trials: list[Trial]) -> Knobs:
        """Which searched knobs did anything; probed only where the budget has room for it."""
        visits = self._settings.study.knob_visits
        may_probe = visits > 0 and self._budget.allows(usual_seconds(trials) * (1 + self._runner.confirm_weight))
        self._display.phase("which knobs did anything")
        return checked(trials, self._settings, (lambda p: self._runner.probe(p, visits)) if may_probe else None)

    def _confirm(self, contenders: list[Trial], ahead: Callable[[Trial], dict[str, float]]) -> Confirmation:
        weight = self._runner.confirm_weight
        self._display.stretch("confirming", weight, weight)
        arguments = (self._worker, self._settings, self._inputs, contenders, self._guard.looking(self._display.step))
        confirmation = confirm(*arguments, lambda: self._budget.left > 0, ahead, self._guard)
        for attempt, results in enumerate(confirmation.invalid, start=1):
            self._folder.write_samples(f"confirm-invalid-{attempt}", results)
        self._folder.write_samples("confirm", confirmation.results)
        return confirmation
