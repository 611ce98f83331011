import pytest

from workloads import Load, WorkloadError


def test_loads():
    assert Load().concurrency == 1
    assert Load("closed_loop", 8).concurrency == 8


@pytest.mark.parametrize("given", [("poisson", 1), ("closed_loop", 0), ("closed_loop", 1.5), ("single", 2)])
def test_wrong_loads_are_refused(given):
    with pytest.raises(WorkloadError, match=r"; |must|use"):
        Load(*given)
