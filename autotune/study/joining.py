"""Join a study that other workers may be at. Who joins must measure the same thing as the first worker."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

import optuna

from autotune.errors import UsageError
from autotune.settings import Settings
from autotune.space import Space
from autotune.study.claims import Claims
from autotune.study.conclusion import Conclusion
from autotune.study.naming import WATCHING
from autotune.study.shared import CLOSED, SharedLedger

TERMS, MORE = "terms", "study.n_trials"
OWN_OF_THE_STUDY = (
    "name", "storage", "resume", "call_limit", "load_limit", "max_failures", "heartbeat_interval", "grace_period",
)  # fmt: skip
OWN = ("model.path", "model.drafts", "engine.options.device")
"""Where things lie may differ from machine to machine."""


def join(
    study: optuna.Study,
    storage: optuna.storages.RDBStorage,
    settings: Settings,
    space: Space,
    say: Callable[[str], None],
    *,
    anew: bool,
) -> SharedLedger:
    """`anew` where the study had ended and goes on with more trials. UsageError where the others do something else."""
    if settings.study.grace_period <= settings.study.heartbeat_interval:
        raise UsageError(
            f"study.grace_period is {settings.study.grace_period}, and study.heartbeat_interval "
            f"{settings.study.heartbeat_interval}; the grace period must be longer, best three times as long"
        )
    agree(study, settings, anew=anew)
    if anew:
        study.set_user_attr(CLOSED, False)
    wait = Waiting(settings.study.heartbeat_interval / 2, say)
    beside = optuna.create_study(storage=storage, study_name=f"{study.study_name}.conclusion", load_if_exists=True)
    conclusion = Conclusion(Claims(beside, storage, settings.study, say), wait)
    return SharedLedger(Claims(study, storage, settings.study, say), conclusion, wait, space, settings.study)


class Waiting:
    """Wait for others, and say once what for."""

    def __init__(self, longest: float, say: Callable[[str], None]) -> None:
        self._pause, self._say, self._said = min(longest, 5.0), say, ""

    def __call__(self, why: str) -> None:
        if why and why != self._said:
            self._said = why
            self._say(f"waiting: {why}")
        time.sleep(self._pause)


def agree(study: optuna.Study, settings: Settings, *, anew: bool) -> None:
    """Note the terms of a new study; UsageError where they are others. One taken up `anew` may get more trials."""
    mine = terms(settings)
    noted = study.user_attrs.get(TERMS)
    if noted is None or anew:
        study.set_user_attr(TERMS, {**(noted or mine), MORE: mine[MORE]})
    noted = study.user_attrs[TERMS]  # read again: where two begin at once, the last has written
    for key in sorted(noted.keys() | mine.keys()):
        if noted.get(key) != mine.get(key):
            raise UsageError(
                f"study {study.study_name} is run with {key}={noted.get(key)}, here it is {mine.get(key)}; join it "
                "with the same command, or give this one another study.name"
            )


def terms(settings: Settings) -> dict[str, Any]:
    """Every setting that decides what is measured, by its dotted path."""
    everything = asdict(settings)
    for name in WATCHING:
        everything["engine"]["options"].pop(name, None)
    for name in OWN_OF_THE_STUDY:
        del everything["study"][name]
    kept = {key: value for key, value in everything.items() if key not in ("tracking", "outputs")}
    flat = {path: value for path, value in _leaves(kept) if not path.startswith(OWN)}
    return json.loads(json.dumps(flat, default=str))


def _leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
