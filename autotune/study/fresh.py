"""A point that no worker of a shared study has: what was proposed, where a search starts, or what the sampler draws.

Drawn in memory, from a copy of the study's trials: nothing reaches the database before the whole point is known.
"""

from __future__ import annotations

from typing import Any

import optuna

from autotune.errors import RunError
from autotune.settings import StudySettings
from autotune.space import Space
from autotune.study.attempts import Attempts, parameters_of
from autotune.study.drawing import Coordinates, another, drawn, scratch, start_points
from autotune.trial import key_of


def fresh_point(
    known: Attempts, space: Space, settings: StudySettings, directions: Any, first: Coordinates | None
) -> optuna.Trial:
    """Its `params` and `distributions` are the point. `first` is taken as it is; any other differs from all that are
    known. RunError where there is no other.
    """
    study = scratch((tries[-1] for tries in known.values()), directions)
    if first is not None:
        return drawn(study, space, first)
    taken = {key_of(parameters_of(tries[-1], space)) for tries in known.values()}
    for point in start_points(space, settings):
        if key_of(space.parameters(point)) not in taken:
            return drawn(study, space, point)
    found = another(study, space, settings, taken, len(known), several=True)
    if found is None:
        raise RunError(f"the sampler finds no {len(known) + 1} different configurations; lower study.n_trials")
    return found
