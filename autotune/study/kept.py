"""What a schedule's study has measured, in its database: killed with -9, it goes on with what is missing.

An entry is all draft lengths of one cell on the same windows, a trial each, kept whole or not at all.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import TrialState

from autotune.errors import UsageError
from autotune.settings import Settings
from autotune.study.ledger import COMPLETED, KEY
from autotune.study.lock import StudyLock
from autotune.study.naming import without_password
from autotune.study.open import SCHEDULE_PLAN, find_study
from autotune.trial import Trial, trial_from_json

RECORDS = "records"


class Kept:
    """The entries of one study, of which this process is the only worker."""

    def __init__(self, study: optuna.Study, url: str, lock: StudyLock | None) -> None:
        self._study, self._lock = study, lock
        self.name, self.url = study.study_name, url

    @property
    def key(self) -> str:
        """What tracking knows the study by."""
        return str(self._study.user_attrs[KEY])

    def trials(self) -> list[Trial]:
        """Of all entries, in the order of measuring."""
        entries = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        return [trial_from_json(record) for entry in entries for record in entry.user_attrs.get(RECORDS, ())]

    def add(self, trials: Sequence[Trial]) -> None:
        """One entry."""
        records = [trial.to_json() for trial in trials]
        entry = optuna.trial.create_trial(state=TrialState.COMPLETE, value=0.0, user_attrs={RECORDS: records})
        self._study.add_trial(entry)

    def mark_completed(self) -> None:
        self._study.set_user_attr(COMPLETED, True)

    def close(self) -> None:
        if self._lock is not None:
            self._lock.release()


def open_kept(settings: Settings, plan: Mapping[str, Any], model: Path) -> Kept:
    """The study that these settings mean; UsageError where it measures, or searches, something else."""
    found = find_study(settings, model)
    study = found.study
    if study.user_attrs.get(SCHEDULE_PLAN, plan) != plan or (study.trials and SCHEDULE_PLAN not in study.user_attrs):
        raise UsageError(
            f"study {study.study_name} was begun with {study.user_attrs.get(SCHEDULE_PLAN, 'a search')}, here it is "
            f"{dict(plan)}; give this one another study.name, or study.resume=never"
        )
    study.set_user_attr(SCHEDULE_PLAN, dict(plan))
    if KEY not in study.user_attrs:
        study.set_user_attr(KEY, uuid.uuid4().hex)
    return Kept(study, without_password(found.url), found.lock)
