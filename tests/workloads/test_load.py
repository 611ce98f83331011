"""The kinds of load, their fields, and the arrivals of the open ones."""

import pytest

from workloads import Load, WorkloadError


def test_closed_loops():
    assert Load().concurrency is None
    assert Load("single", 1).arrivals(5, 0) == ()
    assert Load("closed_loop", 8).concurrency == 8
    assert not Load("closed_loop", 8).is_open


@pytest.mark.parametrize(
    "given",
    [
        {"kind": "poison", "rate": 1.0},
        {"kind": "poisson", "concurrency": 1, "rate": 1.0},
        {"kind": "closed_loop", "concurrency": 0},
        {"kind": "closed_loop", "concurrency": 1.5},
        {"kind": "single", "concurrency": 2},
        {"kind": "single", "rate": 2.0},
        {"kind": "poisson"},
        {"kind": "poisson", "rate": 0},
        {"kind": "poisson", "rate": float("nan")},
        {"kind": "poisson", "rate": 1.0, "burstiness": -1},
        {"kind": "poisson", "rate": 1.0, "seed": True},
        {"kind": "ramp", "rate_start": 1.0},
        {"kind": "ramp", "rate_start": -1.0, "rate_end": 3.0},
        {"kind": "ramp", "rate_start": 0.0, "rate_end": 0.0},
        {"kind": "steps"},
        {"kind": "steps", "rates": []},
        {"kind": "steps", "rates": "12"},
        {"kind": "steps", "rates": [1.0, -2.0]},
        {"kind": "trace", "path": "a", "speed": 0},
    ],
    ids=lambda given: " ".join(map(str, given.values())),
)
def test_wrong_loads_are_refused(given):
    with pytest.raises(WorkloadError, match=r"; allowed|; it must|; they must|use"):
        Load(**given)


OPEN = [
    Load("poisson", rate=4.0),
    Load("poisson", rate=4.0, burstiness=0.3, seed=5),
    Load("ramp", rate_start=2.0, rate_end=6.0),
    Load("ramp", rate_start=8.0, rate_end=0.0),
    Load("steps", rates=[0, 8, 4]),
]


@pytest.mark.parametrize("load", OPEN, ids=str)
def test_a_window_has_one_set_of_arrivals_and_offers_its_rate(load):
    times = load.arrivals(200, 3)
    assert load.is_open
    assert list(times) == sorted(times)
    assert len(times) == 200
    assert times[0] > 0
    assert 200 / times[-1] == pytest.approx(4.0)
    assert load.arrivals(200, 3) == times
    assert load.arrivals(200, 4) != times


def test_another_seed_has_other_arrivals():
    assert Load("poisson", rate=4.0, seed=1).arrivals(9, 0) != Load("poisson", rate=4.0, seed=2).arrivals(9, 0)


def test_a_trace_is_read_once_and_played_faster(tmp_path):
    file = tmp_path / "trace.txt"
    file.write_text("10\n12\n14\n16\n")
    load = Load("trace", path=str(file), speed=2.0)
    load.check()
    file.unlink()
    assert load.arrivals(2, 0) == (1.0, 2.0)


def test_a_trace_that_cannot_be_read_is_refused_before_it_is_needed():
    with pytest.raises(WorkloadError, match=r"load.path is null; give a file"):
        Load("trace").check()
    with pytest.raises(WorkloadError, match="does not exist"):
        Load("trace", path="/no/such/file").check()
