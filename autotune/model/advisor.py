"""What the search makes of the model: which point to measure next, and which to leave unmeasured because it cannot win.

A point is left only where, at 90 % each, the best that it may show lies below the worst that the best so far may have;
and not before the model's predictions were put to the test. Left points are told to the sampler and are no measurement.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from autotune import arms
from autotune.analysis import means
from autotune.model.candidates import Candidate, around, candidates
from autotune.model.learn import adjusted, learn, unit_offsets
from autotune.model.point import Point, Scales, point
from autotune.model.predict import NORMAL_90, Model, Prediction
from autotune.robust.parts import weighs_alike
from autotune.settings import Settings
from autotune.space import Space
from autotune.status import Cause, Status
from autotune.study.ledger import PREDICTION
from autotune.trial import Trial, key_of, ranking

TESTED = 2
"""Predictions that must have met their measurement before anything is left out."""
OWN_TURN = 3
"""Of so many trials one is the sampler's own."""
WORTHWHILE = 0.002
"""Expected improvement of the log-gain below which the model proposes nothing."""
IN_A_ROW = 8
NEAR = 3
"""So many of the best have their neighbourhood looked at, where not every point can be."""


class Queue(Protocol):
    """The part of a study that takes proposals."""

    def propose(self, coordinates: Mapping[str, Any], attributes: Mapping[str, Any]) -> None: ...


class Advisor:
    """Fitted anew before every trial. Does nothing where `study.model` is false, and with several objectives."""

    def __init__(self, settings: Settings, space: Space) -> None:
        self._settings = settings
        self._space, self._near = space, list[Candidate]()
        several = settings.objective.metrics is not None  # the model foretells one
        self.on = settings.study.model and not several
        self._on = self.on and bool(space.dimensions) and weighs_alike(settings)
        self._candidates, self._are_all = candidates(space, settings.study.seed) if self._on else ([], False)
        logs = frozenset(part.path for part in space.parts if part.log)
        self._points = {each.key: self.describe(each.parameters) for each in self._candidates}
        self._scales = Scales([found for found in self._points.values() if found is not None], logs)
        self.model: Model | None = None
        self._trials: Sequence[Trial] = ()
        self._best: tuple[float, float] | None = None

    def describe(self, parameters: Mapping[str, Any]) -> Point | None:
        return point(parameters, arms.speculative_config(self._settings, parameters))

    def learn(self, trials: Sequence[Trial]) -> None:
        """Take in what was measured so far; nothing where that is no news."""
        if self.model is not None and len(trials) == len(self._trials):
            return
        self._trials = trials
        study, metric = self._settings.study, self._settings.objective.metric
        self.model = learn(trials, self.describe, self._scales, metric, study.seed) if self._on else None
        self._done = {trial.key for trial in trials if trial.status is not Status.PREDICTED}
        self._tested = sum(bool(trial.prediction) and bool(trial.gains) for trial in trials) >= TESTED
        self._best = self._best_of(trials)
        if self.model is not None and not self._are_all:
            near = around(self._space, [trial.parameters for trial in ranking(list(trials))[:NEAR]])
            self._near = [each for each in near if each.key not in self._points]

    def propose(self, queue: Queue) -> None:
        """Put the most promising unmeasured point into the queue, unless it is the sampler's turn. After a trial that
        broke a constraint it is: the sampler learns of constraints, the model only of speed.
        """
        last_was_left = bool(self._trials) and self._trials[-1].status is Status.PREDICTED
        over = bool(self._trials) and self._trials[-1].cause is Cause.LIMITS
        if self.model is None or over or (len(self._trials) % OWN_TURN == 0 and not last_was_left):
            return
        found = self._open()
        if not found:
            return
        best = max(found, key=lambda each: self._improvement(each[1]))
        if last_was_left or self._improvement(best[1]) > WORTHWHILE:
            queue.propose(best[0].coordinates, {PREDICTION: record(best[1])})

    @property
    def nothing_left(self) -> bool:
        """Whether every configuration there is was measured or cannot win. Never so where one has no prediction."""
        if self.model is None or not self._are_all or not self._tested:
            return False
        return all(each.key in self._done or self._loses(self._predicted(each)) for each in self._candidates)

    def prediction(self, parameters: Mapping[str, Any]) -> dict[str, Any] | None:
        """For the trial's record; None for what was measured before, and what cannot be foretold."""
        found = self._predict(parameters)
        return None if found is None else record(found)

    def left_out(self, number: int, parameters: Mapping[str, Any]) -> Trial | None:
        """The record of a trial that is not measured, because it cannot win; None where it is to be measured."""
        found = self._predict(parameters)
        row = [trial.status is Status.PREDICTED for trial in self._trials[-IN_A_ROW:]]
        if not self._loses(found) or found is None or (len(row) == IN_A_ROW and all(row) and not self._are_all):
            return None
        low, high = (math.exp(bound) for bound in found.bounds)
        best = ranking(list(self._trials))[0]
        said = f"expected {math.exp(found.gain):.2f}x [{low:.2f}, {high:.2f}]"
        reason = f"{said}, below trial {best.number + 1}'s {best.speedup:.2f}x"
        started = datetime.now(UTC).isoformat(timespec="seconds")
        law = arms.output_law(self._settings, parameters)
        return Trial(
            number, dict(parameters), Status.PREDICTED, Cause.PREDICTED, reason,
            started=started, output_law=law, prediction=record(found),
        )  # fmt: skip

    def _predict(self, parameters: Mapping[str, Any]) -> Prediction | None:
        if self.model is None or key_of(parameters) in self._done:
            return None
        found = self.describe(parameters)
        return None if found is None else self.model.predict(found)

    def _predicted(self, candidate: Candidate) -> Prediction | None:
        found = self._points.get(candidate.key) or self.describe(candidate.parameters)
        return None if found is None or self.model is None else self.model.predict(found)

    def _open(self) -> list[tuple[Candidate, Prediction]]:
        """Unmeasured points with their predictions, without those that cannot win."""
        waiting = [each for each in (*self._candidates, *self._near) if each.key not in self._done]
        pairs = [(each, found) for each in waiting if (found := self._predicted(each)) is not None]
        return [(each, found) for each, found in pairs if not self._loses(found)]

    def _loses(self, found: Prediction | None) -> bool:
        if found is None or self._best is None or not self._tested:
            return False
        return found.bounds[1] < self._best[1]

    def _best_of(self, trials: Sequence[Trial]) -> tuple[float, float] | None:
        """The log-gain of the best so far and its lower bound. One that looks better than the other trials allow was
        lucky, and counts as the most that they allow.
        """
        ranked = ranking(list(trials))
        if not ranked or self.model is None or not ranked[0].gains:
            return None
        best, found = ranked[0], self.describe(ranked[0].parameters)
        told = None if found is None else self.model.predict(found, without=best.number)
        gain = adjusted(means(best.gains), unit_offsets(trials))
        gain = gain if told is None else min(gain, told.bounds[1])
        return gain, gain - NORMAL_90 * self.model.noise(best.number) * self.model.scale

    def _improvement(self, found: Prediction) -> float:
        """Expected improvement over the best so far (Jones, Schonlau and Welch 1998)."""
        if self._best is None:
            return found.gain + found.spread
        z = (found.gain - self._best[0]) / found.spread
        density, below = math.exp(-z * z / 2) / math.sqrt(2 * math.pi), (1 + math.erf(z / math.sqrt(2))) / 2
        return found.spread * (z * below + density)


def record(found: Prediction) -> dict[str, Any]:
    """As it is kept with the trial: factors with 90 % bounds, and the log-gain that experience is counted in."""
    low, high = found.bounds
    return {
        "speedup": math.exp(found.gain), "interval": [math.exp(low), math.exp(high)],
        "gain": found.gain, "sd": found.sd, "scale": found.scale, "told_by": list(found.told_by),
    }  # fmt: skip
