"""However a trial ends, the pages that list trials have a place for it."""

from autotune.report.charts.history import STATUSES
from autotune.report.tables import ORDER
from autotune.status import Status
from autotune.tracking.tracker import RUN_STATES


def test_every_status_has_a_place_in_the_table_of_trials():
    assert sorted(ORDER) == sorted(Status)


def test_every_measured_status_has_a_colour():
    assert set(STATUSES) == set(Status) - {Status.PREDICTED}


def test_every_status_is_a_state_of_the_tracking():
    assert set(RUN_STATES) == set(Status)
