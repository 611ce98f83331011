"""From a study's trials to the point that is tried next: where a search starts, and what the sampler draws."""

from __future__ import annotations

import random
import warnings
from functools import partial
from typing import Any

import optuna

from autotune.dimension import Dimension
from autotune.settings import StudySettings
from autotune.space import Space

Coordinates = dict[str, Any]


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
