"""Step costs: monotone, robust, linear in what is drafted."""

from __future__ import annotations

import random

import pytest

from autotune.model.cost import fit
from autotune.model.curve import at, isotonic, unknown, weighted_median
from autotune.model.evidence import Evidence, StepCost


def unit(tokens: int, rng: random.Random, *, draft: float = 0.06, spoilt: bool = False) -> Evidence:
    """20 passes that drafted `tokens` each: a step costs 1 + 0.03 a row + `draft` a level."""
    drafting = draft * tokens
    cost = (1 + 0.03 * tokens + drafting) * rng.gauss(1, 0.01) * (5 if spoilt else 1)
    full = tuple([20] * tokens)
    return Evidence(40, 20, 20, 20 * tokens, full, full, drafting, 0.0, (StepCost(1, 1 + tokens, cost, 20),))


def test_isotonic_pools_what_falls() -> None:
    assert isotonic([1, 3, 2, 4], [1, 1, 1, 1]) == [1, 2.5, 2.5, 4]
    assert isotonic([3, 1], [3, 1]) == [2.5, 2.5]


def test_curves_between_and_beyond_their_points() -> None:
    points = ((1.0, 1.0), (5.0, 1.4))
    assert at(points, 3) == pytest.approx(1.2)
    assert at(points, 9) == pytest.approx(1.8)
    assert unknown(points, 5) == 0 < unknown(points, 3) <= 0.1 < unknown(points, 9)
    assert weighted_median([1, 2, 9], [1, 1, 1]) == 2


def test_the_fit_finds_the_law_and_stands_a_spoilt_unit() -> None:
    rng = random.Random(0)
    trials = [{f"u{i}": unit(tokens, rng, spoilt=i == 3) for i in range(12)} for tokens in (8, 3)]
    found = fit(trials)
    assert found is not None
    assert found.draft == pytest.approx(0.06, abs=0.005)
    for tokens in (1, 3, 6, 8):
        assert found.cost(1, 1 + tokens, tokens) == pytest.approx(1 + 0.09 * tokens, rel=0.05)
    assert 0 < found.error(1, 9) < 0.1


def test_one_trial_is_enough_for_a_line() -> None:
    rng = random.Random(1)
    found = fit([{f"u{i}": unit(6, rng) for i in range(12)}])
    assert found is not None
    assert found.cost(1, 4, 3) == pytest.approx(1.27, rel=0.04)
    assert found.doubt(1, 4) > found.doubt(1, 7) == 0


def test_nothing_timed_is_nothing_fitted() -> None:
    assert fit([{}]) is None
