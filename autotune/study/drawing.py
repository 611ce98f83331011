"""From a study's trials to the point that is tried next: where a search starts, and what the sampler draws."""

from __future__ import annotations

import copy
import random
import warnings
from collections.abc import Collection, Iterable
from functools import partial
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from autotune.dimension import Dimension
from autotune.settings import StudySettings
from autotune.space import Space
from autotune.trial import key_of

Coordinates = dict[str, Any]
DRAWS = 20


def start_points(space: Space, settings: StudySettings) -> list[Coordinates]:
    """The configured values first. Where the trials can try every point, all of them follow, in a seeded order."""
    if not space.dimensions:
        return []
    points = space.starts()
    if space.size is not None and space.size <= settings.n_trials:
        rest = [point for point in space.grid() if point not in points]
        random.Random(settings.seed).shuffle(rest)
        points += rest
    return points


def draw(trial: optuna.Trial, space: Space) -> Coordinates:
    """One point, drawn by the sampler of the trial's study; what the trial has already stays."""
    space.draw(partial(suggest, trial))  # asks for what belongs to this point: another method's keys stay undrawn
    return dict(trial.params)


def scratch(trials: Iterable[FrozenTrial], directions: Any) -> optuna.Study:
    """Trials in memory, for a sampler to draw from; those without a value tell it nothing."""
    found = optuna.create_study(directions=directions)
    for trial in trials:
        if trial.state.is_finished() and trial.state is not TrialState.FAIL:
            plain = copy.copy(trial)
            plain.user_attrs = {}
            found.add_trial(plain)
    return found


def drawn(study: optuna.Study, space: Space, point: Coordinates | None = None) -> optuna.Trial:
    """The next trial of a scratch study, at `point` where one is given."""
    if point is not None:
        study.enqueue_trial(point)
    trial = study.ask()
    draw(trial, space)
    return trial


def another(
    study: optuna.Study, space: Space, settings: StudySettings, taken: Collection, number: int, *, several: bool = False
) -> optuna.Trial | None:
    """A point outside of `taken` (keys of configurations), by the sampler, or at random where that draws none; None
    where there is no other.
    """
    for turn in range(DRAWS):
        study.sampler = sampler(settings, number + 10_007 * turn, several=several)
        trial = drawn(study, space)
        if key_of(space.parameters(trial.params)) not in taken:
            return trial
    grid = space.grid() if space.size is not None else []
    free = [point for point in grid if key_of(space.parameters(point)) not in taken]
    return drawn(study, space, random.Random(settings.seed * 100_003 + number).choice(free)) if free else None


def suggest(trial: optuna.Trial, dimension: Dimension) -> Any:
    """Draw one coordinate."""
    if dimension.kind == "categorical":
        return trial.suggest_categorical(dimension.coordinate, dimension.values())
    if dimension.kind == "int":
        step = int(dimension.step or 1)
        return trial.suggest_int(
            dimension.coordinate, int(dimension.low), int(dimension.high), step=step, log=dimension.log
        )
    return trial.suggest_float(
        dimension.coordinate, dimension.low, dimension.high, step=dimension.step, log=dimension.log
    )


def sampler(settings: StudySettings, number: int, *, several: bool = False) -> optuna.samplers.BaseSampler:
    """A fresh sampler for each trial, seeded by its number: a resumed study goes on as the first would have.

    Where several workers draw, each keeps away from what the others are measuring.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.TPESampler(
            seed=settings.seed * 100_003 + number,
            n_startup_trials=settings.startup_trials,
            multivariate=True,
            group=True,
            constant_liar=several,
        )
