"""Find the study that a command means: go on with an interrupted one, or begin a new one beside those that ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import optuna

from autotune.errors import UsageError
from autotune.objectives import objectives_of
from autotune.settings import Settings
from autotune.space import Space
from autotune.study.database import open_storage
from autotune.study.joining import join
from autotune.study.ledger import COMPLETED, Ledger
from autotune.study.lock import StudyLock, kept_unless_raised
from autotune.study.naming import base_name, is_shared, sqlite_file, storage_url, without_password

SCHEDULE_PLAN = "schedule"
"""Of a study that makes a schedule: the cells that it measures."""

OBJECTIVES = "objectives"
"""Attribute of a study: the names of its objectives, in the order of its values."""


@dataclass(frozen=True)
class OpenStudy:
    """The lock is None for databases with locks of their own."""

    ledger: Ledger
    url: str
    lock: StudyLock | None

    def close(self) -> None:
        self.ledger.close()
        if self.lock is not None:
            self.lock.release()


class Found(NamedTuple):
    """A study in its database, and whether it had ended before."""

    study: optuna.Study
    storage: optuna.storages.RDBStorage
    url: str
    lock: StudyLock | None
    ended: bool


def find_study(settings: Settings, model: Path) -> Found:
    """The study that these settings mean, begun where it is new. UsageError for a storage that cannot be opened, or a
    study in use.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    base = base_name(settings, model)
    url = storage_url(settings, base)
    file = sqlite_file(url)
    lock = StudyLock(file, base) if file is not None and file.parent.is_dir() else None
    with kept_unless_raised(lock):
        return _find(settings, base, url, lock)


def _find(settings: Settings, base: str, url: str, lock: StudyLock | None) -> Found:
    storage = open_storage(url, settings.study)
    ended = {s.study_name: bool(s.user_attrs.get(COMPLETED)) for s in optuna.get_all_study_summaries(storage)}
    name = choose_name(base, ended, settings.study.resume)
    objectives = objectives_of(settings).names
    directions = [optuna.study.StudyDirection.MAXIMIZE] * len(objectives)
    study = optuna.create_study(storage=storage, study_name=name, directions=directions, load_if_exists=True)
    _check_objectives(study, objectives)
    return Found(study, storage, url, lock, ended.get(name, False))


def open_study(settings: Settings, space: Space, model: Path, say: Callable[[str], None]) -> OpenStudy:
    """UsageError for a storage that cannot be opened, a study in use, or one with other dimensions or terms."""
    study, storage, url, lock, ended = find_study(settings, model)
    with kept_unless_raised(lock):
        _check_dimensions(study, space)
        if is_shared(url):
            ledger: Ledger = join(study, storage, settings, space, say, anew=ended)
        else:
            ledger = Ledger(study, space, settings.study)
        ledger.begin()
    return OpenStudy(ledger, without_password(url), lock)


def choose_name(base: str, existing: dict[str, bool], resume: str) -> str:
    """`existing` tells of each study whether it ended. Runs of one name are numbered: base, base.2, base.3."""
    runs = [name for name in existing if name == base or _run_number(base, name)]
    if not runs:
        return base
    last = max(runs, key=lambda name: _run_number(base, name))
    goes_on = resume == "always" or (resume == "auto" and not existing[last])
    return last if goes_on else f"{base}.{_run_number(base, last) + 1}"


def _run_number(base: str, name: str) -> int:
    tail = name.removeprefix(base + ".")
    return 1 if name == base else int(tail) if name != tail and tail.isdigit() else 0


def _check_objectives(study: optuna.Study, names: list[str]) -> None:
    """Note those of a new study; UsageError where it has others."""
    noted = study.user_attrs.get(OBJECTIVES)
    if noted is None and len(study.directions) == len(names):  # new, or from before they were noted
        study.set_user_attr(OBJECTIVES, names)
        noted = study.user_attrs[OBJECTIVES]  # read again: where two begin at once, the last has written
    if noted != names:
        has = ", ".join(noted or [f"{len(study.directions)} objectives"])
        raise UsageError(
            f"study {study.study_name} was begun for {has}, here it is {', '.join(names)}; "
            f"give this one another study.name, or study.resume=never"
        )


def _check_dimensions(study: optuna.Study, space: Space) -> None:
    if SCHEDULE_PLAN in study.user_attrs:
        raise UsageError(f"study {study.study_name} made a schedule; give this one another study.name")
    for trial in study.get_trials(deepcopy=False):
        if trial.params and trial.state.is_finished() and not space.has(trial.params):
            raise UsageError(
                f"study {study.study_name} was begun with other dimensions ({', '.join(sorted(trial.params))}); "
                f"give this one another study.name, or study.resume=never"
            )
