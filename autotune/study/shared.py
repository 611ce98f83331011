"""Ask and tell for several workers, on one machine or many, that share a study in a database.

What there is to do follows from the claims in the study (attempts.py); how two workers never make the same claim is in
claims.py, and how one of them concludes in conclusion.py.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from autotune.settings import StudySettings
from autotune.space import Space
from autotune.status import Status
from autotune.study.attempts import (
    NUMBER,
    RETRY_OF,
    Attempts,
    again,
    attempts,
    claim_for,
    holders,
    parameters_of,
    record,
)
from autotune.study.claims import Claims, worker_name
from autotune.study.conclusion import Conclusion
from autotune.study.drawing import Coordinates
from autotune.study.fresh import fresh_point
from autotune.study.ledger import FIXED, PREDICTION, RECORD, Ledger
from autotune.trial import Trial, key_of, trial_from_json

CLOSED, REPEAT = "closed", "repeat"
TELLING = 5.0
"""Seconds that a worker may need from writing a record to telling the trial."""


class SharedLedger(Ledger):
    """The trials of one study that others work on too. `ask` may have nothing to give, `tell` may come too late.

    `wait` is called with a line that says for whom we wait, and returns after a while.
    """

    def __init__(
        self, claims: Claims, conclusion: Conclusion, wait: Callable[[str], None], space: Space, settings: StudySettings
    ) -> None:
        super().__init__(claims.study, space, settings)
        claims.study.sampler = optuna.samplers.RandomSampler()  # draws nothing: points come from fresh.py
        self._claims, self._conclusion, self._wait = claims, conclusion, wait
        self._own_key = uuid.uuid4().hex
        self._proposed: list[tuple[Coordinates, Mapping[str, Any]]] = []
        self._untold: dict[int, float] = {}
        size = space.size
        self._total = settings.n_trials if size is None else min(size, settings.n_trials)

    @property
    def key(self) -> str:
        """Every worker has a run of its own in the tracking."""
        return self._own_key

    @property
    def worker(self) -> str:  # type: ignore[override]
        return worker_name()

    @property
    def closed(self) -> bool:  # type: ignore[override]
        return bool(self._claims.patiently(lambda: self._study.user_attrs.get(CLOSED)))

    def begin(self) -> None:
        self._begin_key()
        self._tidy()

    def finished(self) -> list[Trial]:
        records = (record(tries, self._space) for tries in self._known().values())
        return [found for found in records if found is not None]

    def propose(self, coordinates: Mapping[str, Any], attributes: Mapping[str, Any]) -> None:
        """A point that this worker takes next, unless somebody has it; a `repeat` is taken all the same."""
        if PREDICTION in attributes:  # the model's last word stands
            self._proposed = [each for each in self._proposed if PREDICTION not in each[1]]
        self._proposed.append((dict(coordinates), dict(attributes)))

    def ask(self) -> tuple[int, dict[str, Any]] | None:
        while True:
            self._tidy()
            claims = self._claims.all()
            template = None if self.closed else self._next(attempts(claims))
            if template is None:
                self._wait(holders(attempts(claims)))
                return None
            trial = self._claims.make(template, seen=len(claims))
            if trial is not None:
                number = int(template.user_attrs[NUMBER])
                self._open[number] = trial
                return number, parameters_of(template, self._space)

    def signed(self, record: Trial) -> Trial:
        lost = self._open[record.number].user_attrs.get(RETRY_OF) is not None
        said = ("measured again: the first worker did not finish it",) if lost else ()
        return replace(record, worker=self.worker, warnings=(*record.warnings, *said))

    def tell(self, record: Trial) -> bool:
        trial = self._open.pop(record.number)
        if not self._claims.write(trial, RECORD, record.to_json()):
            self._claims.rest()
            return False
        self._claims.end(trial, partial(self._tell, trial, record))
        return True

    def end_search(self) -> None:
        self._claims.patiently(lambda: self._study.set_user_attr(CLOSED, True))
        while True:
            self._tidy()
            held = holders(self._known())
            if not held:
                return
            self._wait(held)

    def conclude(self, make: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any] | None:
        result, ours = self._conclusion.once(len(self.finished()), make)
        return None if ours else result

    def close(self) -> None:
        for trial in self._open.values():
            self._claims.release(trial)
        self._open.clear()

    def _known(self) -> Attempts:
        return attempts(self._claims.all())

    def _tidy(self) -> None:
        """Finish what was measured and, for a while now, not told; and take from the dead what they hold."""
        now = time.monotonic()
        for frozen in self._claims.all():
            recorded = frozen.state is TrialState.RUNNING and RECORD in frozen.user_attrs
            if recorded and now - self._untold.setdefault(frozen._trial_id, now) > TELLING:
                trial = optuna.Trial(self._study, frozen._trial_id)
                found = trial_from_json(frozen.user_attrs[RECORD])
                self._claims.end(trial, partial(self._tell, trial, found))
        self._claims.fail_stale()

    def _next(self, known: Attempts) -> FrozenTrial | None:
        """The template of a claim: what was lost first, then a point of our own."""
        for number, tries in known.items():
            if tries[-1].state.is_finished() and record(tries, self._space) is None:
                return again(number, tries[-1])
        if self._done(known) >= self._total:
            return None
        first, noted = self._proposal(known)
        drawn = fresh_point(known, self._space, self._settings, self._study.directions, first)
        return claim_for(len(known), drawn.params, drawn.distributions, noted)

    def _done(self, known: Attempts) -> int:
        """What was only predicted counts where all points of a small space are gone through."""
        if self._total == self._space.size:
            return len(known)
        records = (tries[-1].user_attrs.get(RECORD, {}) for tries in known.values())
        return sum(found.get("status") != Status.PREDICTED for found in records)

    def _proposal(self, known: Attempts) -> tuple[Coordinates | None, Mapping[str, Any]]:
        last = [tries[-1] for tries in known.values()]
        taken = {key_of(parameters_of(claim, self._space)) for claim in last}
        held = {key_of(parameters_of(claim, self._space)) for claim in last if not claim.state.is_finished()}
        for coordinates, noted in self._proposed:
            configuration = {**self._space.parameters(coordinates), **noted.get(FIXED, {})}
            if key_of(configuration) not in (held if noted.get(REPEAT) else taken):
                return coordinates, noted
        return None, {}
