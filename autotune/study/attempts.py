"""What the claims of a shared search say about its trials.

A trial has a number, counted from 0 without holes, and attempts at it. An attempt is a claim (claims.py) that carries
the trial's number and its whole point from the moment it is made. What has to be done follows from the claims alone,
the same for everyone who looks:

    last attempt running              somebody measures it
    last attempt has a record         finished
    last attempt lost, the first      measured again, as a new attempt with the same point
    last attempt lost, the second     finished: failed, its workers were lost
    last attempt given back           measured again
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from autotune.space import Space
from autotune.status import Cause, Status
from autotune.study.claims import RELEASED, WORKER
from autotune.study.ledger import FIXED, RECORD
from autotune.trial import Trial, trial_from_json

NUMBER, RETRY_OF = "number", "retry_of"
MOST = 2
Attempts = dict[int, list[FrozenTrial]]


def attempts(claims: Iterable[FrozenTrial]) -> Attempts:
    """By the trials' numbers, each oldest first."""
    found: Attempts = {}
    for claim in claims:
        found.setdefault(int(claim.user_attrs[NUMBER]), []).append(claim)
    return dict(sorted(found.items()))


def parameters_of(claim: FrozenTrial, space: Space) -> dict[str, Any]:
    """The point, and what was proposed with it outside the space."""
    return {**space.parameters(claim.params), **claim.user_attrs.get(FIXED, {})}


def record(tries: list[FrozenTrial], space: Space) -> Trial | None:
    """How the trial ended; None where it has not."""
    last = tries[-1]
    if not last.state.is_finished():
        return None
    if RECORD in last.user_attrs:
        return trial_from_json(last.user_attrs[RECORD])
    lost = [claim for claim in tries if not claim.user_attrs.keys() & {RECORD, RELEASED}]
    if len(lost) < MOST:
        return None
    reason = "lost twice, with " + " and ".join(claim.user_attrs[WORKER] for claim in lost)
    return Trial(int(last.user_attrs[NUMBER]), parameters_of(last, space), Status.FAILED, Cause.LOST, reason)


def claim_for(
    number: int, params: dict[str, Any], distributions: dict[str, Any], noted: Mapping[str, Any]
) -> FrozenTrial:
    """The template of an attempt."""
    return optuna.trial.create_trial(
        state=TrialState.RUNNING, params=params, distributions=distributions, user_attrs={**noted, NUMBER: number}
    )


def again(number: int, last: FrozenTrial) -> FrozenTrial:
    """The template of an attempt after `last`: the same point, and what was noted of it."""
    kept = {name: value for name, value in last.user_attrs.items() if name not in (RECORD, RELEASED, WORKER)}
    return claim_for(number, last.params, last.distributions, {**kept, RETRY_OF: last.number})


def holders(known: Attempts) -> str:
    """A line about the trials that are being measured; empty where there are none."""
    held = [(number, tries[-1]) for number, tries in known.items() if not tries[-1].state.is_finished()]
    return ", ".join(f"{claim.user_attrs[WORKER]} measures trial {number + 1}" for number, claim in held)
