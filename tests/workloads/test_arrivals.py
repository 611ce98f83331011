"""The arrival processes against their laws."""

import itertools
import math

import pytest

from workloads import WorkloadError
from workloads.arrivals import constant, ramp, steps, stretch, unit_times

MANY = 20_000


def gaps(times):
    return [later - earlier for earlier, later in itertools.pairwise((0.0, *times))]


def mean(values):
    return sum(values) / len(values)


def variation(values):
    """Coefficient of variation."""
    return math.sqrt(mean([(value - mean(values)) ** 2 for value in values])) / mean(values)


@pytest.mark.parametrize("burstiness", [0.25, 1.0, 4.0])
def test_gaps_have_the_mean_of_the_rate_and_the_variation_of_the_burstiness(burstiness):
    found = gaps(constant(unit_times(MANY, burstiness, "a"), 5.0))
    assert mean(found) == pytest.approx(0.2)
    assert variation(found) == pytest.approx(1 / math.sqrt(burstiness), rel=0.05)


def test_poisson_gaps_are_exponential():
    """The largest distance between both distribution functions: above 1.63 / sqrt(n) in one of a hundred samples."""
    found = sorted(gaps(unit_times(MANY, 1.0, "b")))
    distance = max(abs((i + 1) / MANY - (1 - math.exp(-gap))) for i, gap in enumerate(found))
    assert distance < 1.63 / math.sqrt(MANY)


def test_the_seed_decides():
    assert unit_times(50, 1.0, "a") == unit_times(50, 1.0, "a") != unit_times(50, 1.0, "b")


@pytest.mark.parametrize(("start", "end"), [(2.0, 10.0), (10.0, 2.0), (0.0, 6.0), (6.0, 0.0), (3.0, 3.0)])
def test_a_ramp_goes_on_a_straight_line(start, end):
    """Arrivals in each tenth of the window against the rate in its middle; gaps are even, so counts are exact."""
    even = tuple(float(i + 1) for i in range(MANY))
    times = ramp(even, start, end)
    length = times[-1]
    assert length == pytest.approx(2 * MANY / (start + end))
    for tenth in range(10):
        count = sum(tenth <= 10 * time / length < tenth + 1 for time in times)
        rate = start + (end - start) * (tenth + 0.5) / 10
        assert count == pytest.approx(rate * length / 10, abs=2)


def test_steps_have_their_rates_for_the_same_time():
    times = steps(tuple(float(i + 1) for i in range(60)), (10.0, 0.0, 20.0))
    assert times[-1] == pytest.approx(6.0)
    assert [sum(low < time <= low + 2 + 1e-9 for time in times) for low in (0.0, 2.0, 4.0)] == [20, 0, 40]


def test_a_trace_is_taken_stretch_by_stretch():
    times = (0.0, 1.0, 3.0, 10.0, 14.0, 15.0, 100.0)
    assert stretch(times, 3, 0, 1.0) == (1.5, 2.5, 4.5)
    assert stretch(times, 3, 1, 1.0) == (2.5, 6.5, 7.5)
    assert stretch(times, 3, 2, 1.0) == stretch(times, 3, 0, 1.0), "no whole stretch is left"
    assert stretch(times, 3, 0, 3.0) == (0.5, 2.5 / 3, 1.5)
    assert stretch(times, 1, 6, 1.0) == (0.0,)


def test_a_trace_shorter_than_the_prompts_is_refused():
    with pytest.raises(WorkloadError, match=r"2 arrivals for 3 prompts; .* to at most 2"):
        stretch((0.0, 1.0), 3, 0, 1.0)
