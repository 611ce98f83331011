"""Ask and tell, with the record of every trial kept in the study's own database.

A record is written before the trial is told, so a process that is killed loses at most the measurement it was making:
the trial stays open with its point, and the next process measures that point under the same number.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from autotune.settings import StudySettings
from autotune.space import Space
from autotune.status import Cause, Status
from autotune.study.drawing import another, draw, sampler, scratch, start_points
from autotune.trial import Trial, trial_from_json

RECORD, COMPLETED, KEY = "record", "completed", "key"
FIXED = "fixed"
"""Of an enqueued trial: parameters that stand in the place of what its coordinates say."""
PREDICTION = "prediction"
"""Of an enqueued trial: what the model said of it."""
STATES = {
    Status.COMPLETE: TrialState.COMPLETE,
    Status.PRUNED: TrialState.PRUNED,
    Status.INFEASIBLE: TrialState.PRUNED,  # with a constraint that says so: a sampler ignores failed trials
    Status.FAILED: TrialState.FAIL,
    Status.PREDICTED: TrialState.PRUNED,
    Status.INVALID: TrialState.FAIL,  # so the sampler learns nothing from it
}


class Ledger:
    """The trials of one study, of which this process is the only worker. Numbers count from 0 without holes."""

    worker = ""
    """Who we are, where a study may have several workers."""
    closed = False
    """Whether another worker has ended the search."""

    def __init__(self, study: optuna.Study, space: Space, settings: StudySettings) -> None:
        self._study, self._space, self._settings = study, space, settings
        self._open: dict[int, optuna.Trial] = {}

    @property
    def name(self) -> str:
        return self._study.study_name

    @property
    def run_name(self) -> str:
        """What tracking calls our run."""
        return f"{self.name} ({self.worker})" if self.worker else self.name

    @property
    def key(self) -> str:
        """What tracking knows the study by: its own, even where another has the same name."""
        return str(self._study.user_attrs[KEY])

    def mark_completed(self) -> None:
        self._study.set_user_attr(COMPLETED, True)

    def begin(self) -> None:
        """Finish what an earlier process left measured but untold, and put the default first into a new study."""
        self._begin_key()
        trials = self._study.get_trials(deepcopy=False)
        for frozen in trials:
            if frozen.state is TrialState.RUNNING and RECORD in frozen.user_attrs:
                self._tell(optuna.Trial(self._study, frozen._trial_id), trial_from_json(frozen.user_attrs[RECORD]))
        for point in start_points(self._space, self._settings):
            self._study.enqueue_trial(point, skip_if_exists=True)  # what an earlier process put there stays

    def _begin_key(self) -> None:
        if KEY not in self._study.user_attrs:
            self._study.set_user_attr(KEY, uuid.uuid4().hex)

    def finished(self) -> list[Trial]:
        """The records of all told trials, by number."""
        states = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
        frozen = self._study.get_trials(deepcopy=False, states=states)
        return [trial_from_json(entry.user_attrs[RECORD]) for entry in frozen if RECORD in entry.user_attrs]

    def propose(self, coordinates: Mapping[str, Any], attributes: Mapping[str, Any]) -> None:
        """A point that is taken before the sampler's, unless it is there already and not only predicted."""
        for trial in self._study.get_trials(deepcopy=False):
            point = trial.params or trial.system_attrs.get("fixed_params")
            if trial.user_attrs.get(RECORD, {}).get("status") == Status.PREDICTED:
                continue
            if point == coordinates and trial.user_attrs.get(FIXED) == attributes.get(FIXED):
                return
        self._study.enqueue_trial(dict(coordinates), user_attrs=dict(attributes))

    def ask(self) -> tuple[int, dict[str, Any]] | None:
        """The number and the parameters of the next trial: first one that was left open, then a new suggestion.

        None, after a while, where all that is left is being measured by other workers.
        """
        known = self._study.get_trials(deepcopy=False)
        left = [trial for trial in known if trial.state is TrialState.RUNNING]
        if not left and not any(trial.state is TrialState.WAITING for trial in known):
            self._enqueue_another(known)
        self._study.sampler = sampler(self._settings, left[0].number if left else len(known))
        trial = optuna.Trial(self._study, left[0]._trial_id) if left else self._study.ask()
        drawn = draw(trial, self._space)
        self._open[trial.number] = trial
        return trial.number, {**self._space.parameters(drawn), **trial.user_attrs.get(FIXED, {})}

    def _enqueue_another(self, known: list[FrozenTrial]) -> None:
        """What the sampler draws, but neither measured nor predicted before, or at least not measured; where there is
        no such point, the next trial repeats one.
        """
        seen = {trial.key: trial.status for trial in self.finished()}
        measured = {key for key, status in seen.items() if status is not Status.PREDICTED}
        study = scratch(known, self._study.directions)
        for taken in (seen.keys(), measured):
            found = another(study, self._space, self._settings, taken, len(known))
            if found is not None:
                self._study.enqueue_trial(found.params)
                return

    def signed(self, record: Trial) -> Trial:
        """With who measured it, where several may."""
        return record

    def tell(self, record: Trial) -> bool:
        """False where the trial is no longer ours to tell of."""
        trial = self._open.pop(record.number)
        trial.set_user_attr(RECORD, record.to_json())
        self._tell(trial, record)
        return True

    def end_search(self) -> None:
        """No further trial is begun; returns when none is being measured."""

    def conclude(self, make: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any] | None:
        """Have `make` called by one worker; its result where that was another, else None."""
        make()
        return None

    def close(self) -> None:
        """Give back what is held."""

    def _tell(self, trial: optuna.Trial, record: Trial) -> None:
        for name, holds in (("memory", record.cause is not Cause.OUT_OF_MEMORY), ("lossless", record.cause is not
        Cause.LOSSY), ("allowed", record.cause is not Cause.REFUSED)):  # fmt: skip
            trial.set_constraint(name, 0.0 if holds else 1.0)
        for name, violation in record.violations.items():
            trial.set_constraint(name, violation)
        state = TrialState.PRUNED if record.cause is Cause.LOSSY else STATES[record.status]
        if len(self._study.directions) > 1:
            self._tell_several(trial, record, state)
            return
        value = math.log(record.speedup) if record.speedup and state is TrialState.COMPLETE else None
        if state is TrialState.PRUNED and record.speedup and record.status is Status.PRUNED:
            trial.report(math.log(record.speedup), step=record.units)
        if record.status is Status.PREDICTED and record.prediction:
            trial.report(record.prediction["gain"], step=0)
        self._study.tell(trial, value, state=state)

    def _tell_several(self, trial: optuna.Trial, record: Trial, state: TrialState) -> None:
        """Optuna takes no report of a trial with several values. One that was stopped is told as complete, with its
        values as far as it was measured: beaten on all of them, it is no example to the sampler, but tells it where.
        """
        factors = [record.speedup, *(each.factor for each in record.further.values())]
        values = [math.log(factor) for factor in factors if factor]
        known = len(values) == len(self._study.directions)
        if record.status is Status.PRUNED:
            state = TrialState.COMPLETE if known else TrialState.FAIL
        self._study.tell(trial, values if state is TrialState.COMPLETE else None, state=state)
