"""Who does what, where several workers share a study: a claim is a running Optuna trial with a heartbeat.

One rule carries everything: a claim is made only if no other was made since its maker looked. The database checks
that, under the lock that every making takes, so claims come one after the other and each maker has seen all before
its own. Nothing is locked while a worker thinks, and a claim is there whole or not at all.

Times are the database's own: a claim is stale where its last heartbeat lies `grace_period` before the database's now.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import event, text

from autotune.settings import StudySettings
from autotune.study.database import AWAY, patiently

T = TypeVar("T")
Say = Callable[[str], None]

WORKER, RELEASED = "worker", "released"
"""Attributes of a claim: who made it, and that it was given back on purpose."""


class Overtaken(Exception):
    """Another claim came first."""


class Claims:
    """The claims of one study; at most one of them is ours at a time."""

    def __init__(self, study: optuna.Study, storage: optuna.storages.RDBStorage, settings: StudySettings, say: Say):
        self.study, self._storage, self._settings, self._say = study, storage, settings, say
        self._heart: Heart | None = None

    def all(self) -> list[FrozenTrial]:
        return self.patiently(lambda: self.study.get_trials(deepcopy=False))

    def patiently(self, call: Callable[[], T]) -> T:
        return patiently(call, self._settings.grace_period, self._say)

    def make(self, template: FrozenTrial, seen: int) -> optuna.Trial | None:
        """A claim like the template, beating; None where there are no longer `seen` claims in the study."""
        template.set_user_attr(WORKER, worker_name())
        study_id = self.study._study_id

        def create() -> int | None:
            with _only_after(self._storage, study_id, seen):
                return self._storage.create_new_trial(study_id, template_trial=template)

        try:
            trial_id = self.patiently(create)
        except Overtaken:
            return None
        assert trial_id is not None
        self._heart = Heart(self._storage, trial_id, self._settings.heartbeat_interval)
        return self.patiently(lambda: optuna.Trial(self.study, trial_id))

    def write(self, trial: optuna.Trial, name: str, value: Any) -> bool:
        """Note something at a claim of ours; False where it was taken from us, or given back."""
        try:
            self.patiently(lambda: trial.set_user_attr(name, value))
        except UpdateFinishedTrialError:
            return False
        return True

    def end(self, trial: optuna.Trial, tell: Callable[[], object]) -> None:
        """Close a claim with `tell`; that another has closed it in the meantime is no error."""
        self.rest()

        def once() -> None:
            try:
                tell()
            except (UpdateFinishedTrialError, ValueError):  # Optuna's tell has no error of its own for an ended trial
                if not self._storage.get_trial(trial._trial_id).state.is_finished():
                    raise

        self.patiently(once)

    def release(self, trial: optuna.Trial) -> None:
        """Give a claim back, so that another worker need not wait until it is stale."""
        if self.write(trial, RELEASED, True):
            self.end(trial, lambda: self.study.tell(trial, state=TrialState.FAIL))
        self.rest()

    def rest(self) -> None:
        """No more heartbeats."""
        if self._heart is not None:
            self._heart.stop()
            self._heart = None

    def fail_stale(self) -> None:
        """Take from the dead, and from the stopped, what they hold. Each claim is taken by one worker only."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            self.patiently(lambda: optuna.storages.fail_stale_trials(self.study))


class Heart:
    """Says every `interval` seconds, from a thread of its own, that the claim's holder is alive."""

    def __init__(self, storage: optuna.storages.RDBStorage, trial_id: int, interval: float) -> None:
        self._storage, self._trial_id, self._interval = storage, trial_id, interval
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join(timeout=5.0)

    def _beat(self) -> None:
        while not self._stopped.wait(self._interval):
            with contextlib.suppress(*AWAY):  # the next beat tries again; a claim outlives a missed one
                self._storage.record_heartbeat(self._trial_id)


def worker_name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


@contextlib.contextmanager
def _only_after(storage: optuna.storages.RDBStorage, study_id: int, seen: int) -> Iterator[None]:
    """A trial made inside is the one after `seen` others and has its first heartbeat, or is not made: Overtaken.

    Optuna locks the study's row while it makes a trial. The check runs in that transaction, before its commit.
    """
    session = storage.scoped_session()  # this thread's, which the making uses too
    # PostgreSQL's other clocks stand still during a transaction, which may have waited for the lock.
    now = "clock_timestamp()" if storage.engine.dialect.name == "postgresql" else "CURRENT_TIMESTAMP"

    def check(_: Any) -> None:
        row = session.execute(text("SELECT count(*), max(trial_id) FROM trials WHERE study_id = :s"), {"s": study_id})
        count, newest = row.one()
        if count != seen + 1:
            raise Overtaken
        beat = text(f"INSERT INTO trial_heartbeats (trial_id, heartbeat) VALUES (:t, {now})")
        session.execute(beat, {"t": newest})

    event.listen(session, "before_commit", check)
    try:
        yield
    finally:
        event.remove(session, "before_commit", check)
