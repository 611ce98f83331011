"""Several ledgers on one study in a real PostgreSQL: nothing lost, nothing twice, whoever dies or stands still."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import optuna
import postgres
import pytest
from sqlalchemy import text

from autotune.dimension import Dimension
from autotune.errors import RunError
from autotune.settings import StudySettings
from autotune.space import Space
from autotune.status import Cause, Status
from autotune.study.attempts import RETRY_OF, attempts
from autotune.study.claims import Claims
from autotune.study.conclusion import Conclusion
from autotune.study.database import open_storage
from autotune.study.joining import Waiting
from autotune.study.shared import SharedLedger
from autotune.trial import Trial

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
needs_server = pytest.mark.skipif(bool(postgres.missing()), reason=postgres.missing())
SETTINGS = StudySettings(
    name=None, storage=None, resume="auto", n_trials=8, startup_trials=3, seed=0, prune_alpha=0.05,
    prune_min_units=5, confidence=0.95, resamples=1000, call_limit=10.0, load_limit=10.0, max_failures=3,
    heartbeat_interval=1, grace_period=2,
)  # fmt: skip
SPACE = Space((Dimension("method.a", "int", 1, 4), Dimension("method.b", "int", 1, 5)), {"method.a": 1, "method.b": 1})


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.Server]:
    with postgres.server() as found:
        yield found


@pytest.fixture
def said() -> list[str]:
    """What the workers told their user."""
    return []


@pytest.fixture
def worker(
    server: postgres.Server, said: list[str], request: pytest.FixtureRequest
) -> Iterator[Callable[..., SharedLedger]]:
    """Makes one more worker of the test's own study, as another process would be: with connections of its own."""
    made: list[SharedLedger] = []

    def make(settings: StudySettings = SETTINGS, space: Space = SPACE) -> SharedLedger:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        storage, name = open_storage(server.url, settings), request.node.name
        study = optuna.create_study(storage=storage, study_name=name, direction="maximize", load_if_exists=True)
        beside = optuna.create_study(storage=storage, study_name=f"{name}.conclusion", load_if_exists=True)
        wait = Waiting(0.1, lambda _: None)
        conclusion = Conclusion(Claims(beside, storage, settings, said.append), wait)
        made.append(SharedLedger(Claims(study, storage, settings, said.append), conclusion, wait, space, settings))
        made[-1].begin()
        return made[-1]

    yield make
    for ledger in made:
        die(ledger)


def measured(number: int, parameters: dict) -> Trial:
    return Trial(number, parameters, Status.COMPLETE, speedup=1 + 0.1 * parameters["method.a"])


def die(ledger: SharedLedger) -> None:
    """No sign of life any more, as after kill -9; or, if it goes on later, as after a long stop."""
    ledger._claims.rest()
    ledger._conclusion._claims.rest()


def work(ledger: SharedLedger, total: int = 8) -> None:
    while len(ledger.finished()) < total:
        if (asked := ledger.ask()) is not None:
            ledger.tell(ledger.signed(measured(*asked)))


@needs_server
def test_workers_at_once_never_meet(worker) -> None:
    ledgers = [worker() for _ in range(4)]
    threads = [threading.Thread(target=work, args=(ledger,)) for ledger in ledgers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    found = ledgers[0].finished()
    assert [trial.number for trial in found] == list(range(8))
    assert len({trial.key for trial in found}) == 8
    assert len(ledgers[0]._claims.all()) == 8


@needs_server
def test_the_same_moment(worker) -> None:
    """Both have looked before either claims: the second looks again, and takes another point."""
    first, second = worker(), worker()
    seen = second._claims.all()
    template = second._next(attempts(seen))
    taken = first.ask()
    assert second._claims.make(template, seen=len(seen)) is None
    other = second.ask()
    assert taken is not None
    assert other is not None
    assert taken[0] == 0
    assert other[0] == 1
    assert taken[1] != other[1]


@needs_server
def test_a_whole_space_is_measured_once(worker) -> None:
    """More trials than points: every point once, and no more."""
    small = Space((Dimension("method.a", "int", 1, 5),), {"method.a": 3})
    ledgers = [worker(space=small) for _ in range(3)]
    threads = [threading.Thread(target=work, args=(ledger, 5)) for ledger in ledgers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(trial.parameters["method.a"] for trial in ledgers[0].finished()) == [1, 2, 3, 4, 5]
    assert ledgers[0].ask() is None


@needs_server
def test_a_large_space_is_sampled_without_repeats(worker) -> None:
    """Seventeen of twenty points, most of them the sampler's: it would repeat itself."""
    settings = replace(SETTINGS, n_trials=17)
    ledger = worker(settings)
    work(ledger, 17)
    assert len({trial.key for trial in ledger.finished()}) == 17


@needs_server
def test_lost_once_is_measured_again_and_lost_twice_has_failed(worker) -> None:
    first, second, third = worker(), worker(), worker()
    asked = first.ask()
    die(first)
    time.sleep(2.5)
    again = second.ask()
    assert again == asked
    die(second)
    time.sleep(2.5)
    assert third.ask() != asked
    lost = third.finished()[0]
    assert (lost.status, lost.cause, lost.number) == (Status.FAILED, Cause.LOST, 0)
    assert lost.parameters == asked[1]
    assert "lost twice" in lost.reason
    tries = attempts(third._claims.all())[0]
    assert len(tries) == 2
    assert tries[1].user_attrs[RETRY_OF] == tries[0].number


@needs_server
def test_who_stood_still_discards_and_goes_on(worker) -> None:
    stopped, other = worker(), worker()
    asked = stopped.ask()
    die(stopped)
    time.sleep(2.5)
    again = other.ask()
    assert again == asked
    assert not stopped.tell(stopped.signed(measured(*asked)))
    repeated = other.signed(measured(*again))
    assert other.tell(repeated)
    assert "measured again" in repeated.warnings[-1]
    assert [trial.number for trial in stopped.finished()] == [0]
    assert stopped.ask()[0] == 1


@needs_server
def test_given_back_is_no_loss(worker) -> None:
    first, second = worker(), worker()
    asked = first.ask()
    for _ in range(3):
        first.close()
        assert first.ask() == asked
    first.close()
    assert second.ask() == asked
    assert second.finished() == []


@needs_server
def test_recorded_and_not_told(worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between the two: the record counts, and nobody measures again."""
    monkeypatch.setattr("autotune.study.shared.TELLING", 0.0)
    first, second = worker(), worker()
    number, parameters = first.ask()
    record = first.signed(measured(number, parameters))
    first._claims.write(first._open[number], "record", record.to_json())
    die(first)
    second.ask()
    time.sleep(0.01)
    second._tidy()
    assert [trial.worker for trial in second.finished()] == [record.worker]
    assert second._claims.all()[0].state is optuna.trial.TrialState.COMPLETE


@needs_server
def test_an_ended_search_begins_nothing(worker) -> None:
    first, second = worker(), worker()
    asked = first.ask()
    ending = threading.Thread(target=second.end_search)
    ending.start()
    time.sleep(1.0)
    assert ending.is_alive()  # a trial is still being measured
    assert first.tell(first.signed(measured(*asked)))
    ending.join(10)
    assert not ending.is_alive()
    assert first.closed
    assert first.ask() is None


@needs_server
def test_one_concludes_and_all_get_it(worker) -> None:
    ledgers, made, got = [worker() for _ in range(3)], [], []

    def conclude(ledger: SharedLedger, who: int) -> None:
        def make() -> dict:
            made.append(who)
            time.sleep(1.0)
            return {"speedup": 2.0, "who": who}

        got.append(ledger.conclude(make))

    threads = [threading.Thread(target=conclude, args=(ledger, n)) for n, ledger in enumerate(ledgers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(made) == 1
    assert sorted(got, key=bool)[0] is None  # the maker has its own
    assert [entry for entry in got if entry] == [{"speedup": 2.0, "who": made[0]}] * 2


@needs_server
def test_who_dies_concluding_is_replaced_and_who_stood_still_takes_the_other_s(worker) -> None:
    first, second = worker(), worker()

    def make_and_stand_still() -> dict:
        die(first)
        time.sleep(2.5)
        assert second.conclude(lambda: {"who": "second"}) is None
        return {"who": "first"}

    assert first.conclude(make_and_stand_still) == {"who": "second"}


@needs_server
def test_a_conclusion_that_fails_is_tried_by_one_other(worker) -> None:
    def fails() -> dict:
        raise RunError("no confirmation")

    for _ in range(2):
        with pytest.raises(RunError, match="no confirmation"):
            worker().conclude(fails)
    with pytest.raises(RunError, match="no confirmation"):
        worker().conclude(lambda: {"never": "called"})


@needs_server
def test_a_server_that_goes_away_for_a_while(worker, server: postgres.Server, said: list[str]) -> None:
    """Measured while it was away: told when it is back, and nobody has measured the trial again."""
    if not server.can_stop:
        pytest.skip(f"the server of {postgres.GIVEN} is not ours to stop")
    ledger = worker(replace(SETTINGS, grace_period=20))
    asked = ledger.ask()
    server.stop()
    threading.Timer(2.0, server.start).start()
    assert ledger.tell(ledger.signed(measured(*asked)))
    assert any("does not answer" in line for line in said)
    assert [trial.number for trial in ledger.finished()] == [0]
    assert ledger.ask()[0] == 1


@needs_server
def test_a_server_that_stays_away(worker, server: postgres.Server) -> None:
    if not server.can_stop:
        pytest.skip(f"the server of {postgres.GIVEN} is not ours to stop")
    ledger = worker()
    server.stop()
    try:
        with pytest.raises(RunError, match="has not answered for 2 s"):
            ledger.finished()
    finally:
        server.start()


@needs_server
def test_who_is_stopped_while_it_claims_holds_nobody_up(worker) -> None:
    """The lock of a process that stands still is let go by the server after the grace period."""
    stopped, other = worker(), worker()
    session = stopped._claims._storage.scoped_session()
    session.execute(
        text("SELECT study_id FROM studies WHERE study_id = :s FOR UPDATE"), {"s": stopped._study._study_id}
    )
    began = time.monotonic()
    assert other.ask()[0] == 0
    assert 1.0 < time.monotonic() - began < 15.0
    session.invalidate()
    assert stopped.ask()[0] == 1
