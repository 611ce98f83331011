"""The statistics keep their promises, by simulation on data whose truth is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from autotune.pruning import Incumbent, Pruner
from autotune.stats import bootstrap_bounds, expected_maximum, interval, looks, worse


def coverage(units: int, repeats: int, rounds: int = 400) -> float:
    """The share of 95 % intervals that hold the true mean; prompts differ (skewed), repeats have noise."""
    rng = np.random.default_rng(units)
    hits = 0
    for seed in range(rounds):
        prompts = rng.gumbel(0.3, 0.1, size=units)
        groups = [list(rng.normal(prompt, 0.05, size=repeats)) for prompt in prompts]
        found = interval(groups, confidence=0.95, resamples=600, seed=seed)
        assert found.low is not None
        assert found.high is not None
        hits += found.low <= 0.3 + 0.1 * np.euler_gamma <= found.high
    return hits / rounds


@pytest.mark.parametrize(("units", "repeats"), [(5, 1), (8, 1), (16, 1), (24, 2)])
def test_intervals_hold_the_truth_as_often_as_they_say(units: int, repeats: int) -> None:
    assert 0.90 <= coverage(units, repeats) <= 0.985


def test_the_interval_is_of_units_not_of_repeats() -> None:
    """Measuring the same four prompts a hundred times says nothing about other prompts."""
    few = interval([[value] for value in (0.1, 0.3, 0.5, 0.7)], confidence=0.95, resamples=500, seed=0)
    many = interval([[value] * 100 for value in (0.1, 0.3, 0.5, 0.7)], confidence=0.95, resamples=500, seed=0)
    assert (few.low, few.high) == pytest.approx((many.low, many.high))


def test_intervals_are_the_same_for_the_same_seed_and_follow_the_data() -> None:
    groups = [[0.2, 0.3], [0.1], [0.5, 0.4, 0.6], *[[0.2 + i / 100] for i in range(8)]]
    assert bootstrap_bounds(groups, 0.95, 500, 1) == bootstrap_bounds(groups, 0.95, 500, 1)
    shifted = [[value + 1 for value in group] for group in groups]
    assert np.allclose(np.array(bootstrap_bounds(shifted, 0.95, 500, 1)) - 1, bootstrap_bounds(groups, 0.95, 500, 1))


def test_one_unit_has_no_interval() -> None:
    found = interval([[0.5, 0.6]], confidence=0.95, resamples=100, seed=0)
    assert found.factor_bounds is None
    assert not found.above_zero
    assert found.contains_zero
    assert found.factor == pytest.approx(math.exp(0.55))


def false_prunes(units: int, rivals: int, rounds: int = 1500) -> float:
    """How often a configuration is pruned that is exactly as good as the best of `rivals` equal ones."""
    rng = np.random.default_rng(rivals)
    pruned = 0
    for _ in range(rounds):
        prompts = rng.normal(0.3, 0.2, size=units)
        best = max((prompts + rng.normal(0, 0.04, size=units) for _ in range(rivals)), key=lambda gains: gains.mean())
        pruner = Pruner(Incumbent(0, dict(enumerate(best)), rivals), units, alpha=0.05, first=5)  # type: ignore[arg-type]
        measured: dict[int, list[float]] = {}
        for unit, value in enumerate(prompts + rng.normal(0, 0.04, size=units)):
            measured[unit] = [value]
            if pruner.should_stop(measured):  # type: ignore[arg-type]
                pruned += 1
                break
    return pruned / rounds


@pytest.mark.parametrize(("units", "rivals"), [(16, 1), (16, 5), (16, 14), (32, 10)])
def test_equal_configurations_are_pruned_rarely(units: int, rivals: int) -> None:
    assert false_prunes(units, rivals) <= 0.06


def test_clearly_worse_configurations_are_pruned() -> None:
    rng = np.random.default_rng(0)
    best = rng.normal(0.5, 0.05, size=16)
    pruner = Pruner(Incumbent(0, dict(enumerate(best)), 5), 16, alpha=0.05, first=5)  # type: ignore[arg-type]
    measured = {unit: [value - 0.2] for unit, value in enumerate(best[:5] + rng.normal(0, 0.03, size=5))}
    assert pruner.should_stop(measured)  # type: ignore[arg-type]


def test_pruning_can_be_turned_off_and_needs_an_incumbent() -> None:
    measured = {unit: [-1.0 + unit / 100] for unit in range(5)}
    incumbent = Incumbent(0, dict.fromkeys(range(16), 1.0), 1)  # type: ignore[arg-type]
    assert Pruner(incumbent, 16, alpha=0.05, first=5).should_stop(measured)  # type: ignore[arg-type]
    assert not Pruner(incumbent, 16, alpha=0.0, first=5).should_stop(measured)  # type: ignore[arg-type]
    assert not Pruner(None, 16, alpha=0.05, first=5).should_stop(measured)  # type: ignore[arg-type]


def test_looks_are_few_and_never_at_the_end() -> None:
    assert looks(16, 5) == (5, 10, 14)
    assert looks(6, 5) == ()
    assert all(1 <= len(looks(units, 5)) <= 3 and max(looks(units, 5)) < units for units in range(8, 200))


def test_equal_values_are_not_worse_and_lower_ones_are() -> None:
    values = np.array([0.1, 0.2, 0.3, 0.4, 0.5])
    assert not worse(values, values, alpha=0.05, rivals=3, planned=16)
    assert worse(values - 0.1, values, alpha=0.05, rivals=3, planned=16)


def test_the_best_of_more_is_luckier() -> None:
    rng = np.random.default_rng(0)
    for count in (2, 5, 20):
        assert expected_maximum(count) == pytest.approx(rng.normal(size=(20000, count)).max(axis=1).mean(), abs=0.03)
    assert expected_maximum(1) == 0
