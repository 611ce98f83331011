"""The end of a study that several workers share: one of them confirms the winner, all of them get its result.

The first worker that finds the search complete claims the conclusion, in a small study beside the search's; the
others wait. A claim whose holder dies is stale like any other, and the next worker takes it. A result counts for the
trials it was made from: where the search goes on (study.resume=always with more trials), there is a new conclusion.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from autotune.errors import RunError
from autotune.study.claims import WORKER, Claims

TRIALS, RESULT, REASON = "trials", "result", "reason"
ATTEMPTS = 2
Record = Mapping[str, Any]


class Conclusion:
    """`wait` is called with a line that says for whom we wait, and returns after a while."""

    def __init__(self, claims: Claims, wait: Callable[[str], None]) -> None:
        self._claims, self._wait = claims, wait
        claims.study.sampler = optuna.samplers.RandomSampler()

    def once(self, num_trials: int, make: Callable[[], Record]) -> tuple[Record, bool]:
        """The result of `make`, ours or another worker's, and whether it is ours.

        RunError where it failed for two workers, each of whom raised what happened to it.
        """
        while True:
            self._claims.fail_stale()
            claims = self._claims.all()
            attempts = [claim for claim in claims if claim.user_attrs[TRIALS] == num_trials]
            for claim in attempts:
                if claim.state is TrialState.COMPLETE:
                    return claim.user_attrs[RESULT], False
            _give_up_after(attempts)
            holder = next((claim for claim in attempts if claim.state is TrialState.RUNNING), None)
            if holder is not None:
                self._wait(f"{holder.user_attrs[WORKER]} confirms the winner")
            elif (made := self._made(num_trials, len(claims), make)) is not None:
                return made, True

    def _made(self, num_trials: int, seen: int, make: Callable[[], Record]) -> Record | None:
        """None where another was first with the claim, or took it over while we were stopped."""
        template = optuna.trial.create_trial(state=TrialState.RUNNING, user_attrs={TRIALS: num_trials})
        claim = self._claims.make(template, seen)
        if claim is None:
            return None
        try:
            record = make()
        except RunError as error:
            self._claims.write(claim, REASON, str(error))
            self._claims.release(claim)
            raise
        except BaseException:
            self._claims.release(claim)
            raise
        if not self._claims.write(claim, RESULT, record):
            self._claims.rest()
            return None
        self._claims.end(claim, lambda: self._claims.study.tell(claim, 0.0))
        return record


def _give_up_after(attempts: list[FrozenTrial]) -> None:
    reasons = [claim.user_attrs[REASON] for claim in attempts if REASON in claim.user_attrs]
    if len(reasons) >= ATTEMPTS:
        raise RunError(reasons[-1])
