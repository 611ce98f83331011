"""A point that no worker of a shared study has: what was proposed, where a search starts, or what the sampler draws.

Drawn in memory, from a copy of the study's trials: nothing reaches the database before the whole point is known.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Collection
from typing import Any

import optuna
from optuna.trial import TrialState

from autotune.errors import RunError
from autotune.settings import StudySettings
from autotune.space import Space
from autotune.study.attempts import Attempts, Key, key, parameters_of
from autotune.study.drawing import Coordinates, draw, sampler, start_points

DRAWS = 20


def fresh_point(
    known: Attempts, space: Space, settings: StudySettings, directions: Any, first: Coordinates | None
) -> optuna.Trial:
    """Its `params` and `distributions` are the point. `first` is taken as it is; any other differs from all that are
    known. RunError where there is no other.
    """
    scratch = _scratch(known, directions)
    if first is not None:
        return _drawn(scratch, space, first)
    taken = {key(parameters_of(tries[-1], space)) for tries in known.values()}
    for point in start_points(space, settings):
        if key(space.parameters(point)) not in taken:
            return _drawn(scratch, space, point)
    for turn in range(DRAWS):
        scratch.sampler = sampler(settings, len(known) + 10_007 * turn, several=True)
        trial = _drawn(scratch, space)
        if key(space.parameters(trial.params)) not in taken:
            return trial
    return _drawn(scratch, space, _free(space, settings, taken, len(known)))


def _free(space: Space, settings: StudySettings, taken: Collection[Key], number: int) -> Coordinates:
    grid = space.grid() if space.size is not None else []
    free = [point for point in grid if key(space.parameters(point)) not in taken]
    if not free:
        raise RunError(f"the sampler finds no {number + 1} different configurations; lower study.n_trials")
    return random.Random(settings.seed * 100_003 + number).choice(free)


def _scratch(known: Attempts, directions: Any) -> optuna.Study:
    """The study's trials in memory; those without a value tell a sampler nothing."""
    scratch = optuna.create_study(directions=directions)
    for tries in known.values():
        if tries[-1].state is not TrialState.FAIL:
            plain = copy.copy(tries[-1])
            plain.user_attrs = {}
            scratch.add_trial(plain)
    return scratch


def _drawn(scratch: optuna.Study, space: Space, point: Coordinates | None = None) -> optuna.Trial:
    if point is not None:
        scratch.enqueue_trial(point)
    trial = scratch.ask()
    draw(trial, space)
    return trial
