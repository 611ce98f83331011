"""The study's records: kept before they are told, taken up again, never lost, never twice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import optuna
import pytest

from autotune.analysis import Verdict
from autotune.choice import RUNNER_UP, WINNER, choose
from autotune.confirm import Confirmed
from autotune.dimension import Dimension
from autotune.errors import UsageError
from autotune.settings import StudySettings
from autotune.space import Space
from autotune.stats import Interval
from autotune.status import Cause, Status
from autotune.study.ledger import Ledger
from autotune.study.lock import StudyLock
from autotune.study.open import choose_name
from autotune.trial import Trial, ranking, trial_from_json

SETTINGS = StudySettings(None, None, "auto", 12, 3, 0, 0.05, 5, 0.95, 500, 60.0, 60.0, 3)
SPACE = Space((Dimension("method.k", "int", 1, 10), Dimension("method.n", "int", 1, 6)), {"method.k": 4, "method.n": 2})

WIDE = Space((Dimension("method.k", "int", 1, 10), Dimension("method.n", "int", 1, 40)), SPACE.defaults)


def open_ledger(path: Path, space: Space = SPACE) -> Ledger:
    storage = optuna.storages.RDBStorage(f"sqlite:///{path / 'study.db'}")
    study = optuna.create_study(storage=storage, study_name="s", direction="maximize", load_if_exists=True)
    ledger = Ledger(study, space, SETTINGS)
    ledger.begin()
    return ledger


def answer(number: int, parameters: dict, status: Status = Status.COMPLETE, cause: Cause = Cause.NONE) -> Trial:
    speedup = 1 + parameters["method.k"] / 10 if status in (Status.COMPLETE, Status.PRUNED) else None
    return Trial(number, parameters, status, cause, speedup=speedup, gains={"prompt-0": [0.1]}, units=5)


def test_the_configured_values_come_first(tmp_path: Path) -> None:
    assert open_ledger(tmp_path).ask() == (0, SPACE.defaults)


def test_a_trial_left_open_is_asked_again_under_its_number(tmp_path: Path) -> None:
    first = open_ledger(tmp_path)
    first.tell(answer(*first.ask()))
    left = first.ask()
    again = open_ledger(tmp_path)
    assert again.ask() == left
    again.tell(answer(*left))
    assert again.ask()[0] == 2
    assert [trial.number for trial in again.finished()] == [0, 1]


def test_a_record_that_was_kept_but_not_told_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = open_ledger(tmp_path)
    number, parameters = first.ask()
    monkeypatch.setattr(Ledger, "_tell", lambda *_: None)  # killed between the two
    first.tell(answer(number, parameters))
    monkeypatch.undo()
    again = open_ledger(tmp_path)
    assert [trial.parameters for trial in again.finished()] == [parameters]
    assert again.ask()[0] == 1


def test_the_sampler_goes_on_as_if_nothing_had_happened(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    whole = open_ledger(tmp_path / "whole")
    for _ in range(8):
        whole.tell(answer(*whole.ask()))
    for _ in range(8):
        part = open_ledger(tmp_path / "parts")
        part.tell(answer(*part.ask()))
    assert [t.parameters for t in whole.finished()] == [
        t.parameters for t in open_ledger(tmp_path / "parts").finished()
    ]


def test_a_fresh_sampler_a_trial_does_not_repeat_its_draws(tmp_path: Path) -> None:
    space = Space((Dimension("method.x", "float", 0, 1),), {"method.x": 0.5})
    ledger = open_ledger(tmp_path, space)
    drawn = []
    for _ in range(3):
        number, parameters = ledger.ask()
        drawn.append(parameters["method.x"])
        ledger.tell(Trial(number, parameters, Status.COMPLETE, speedup=1.0))
    assert len(set(drawn)) == 3


def test_a_small_space_is_tried_out_whole(tmp_path: Path) -> None:
    space = Space((Dimension("method.k", "int", 1, 5),), {"method.k": 3})
    ledger = open_ledger(tmp_path, space)
    asked = []
    for _ in range(5):
        number, parameters = ledger.ask()
        asked.append(parameters["method.k"])
        ledger.tell(answer(number, parameters))
        ledger = open_ledger(tmp_path, space)
    assert asked[0] == 3
    assert sorted(asked) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("status", "cause", "state", "broken"),
    [
        (Status.COMPLETE, Cause.NONE, "COMPLETE", set()),
        (Status.PRUNED, Cause.WORSE, "PRUNED", set()),
        (Status.INFEASIBLE, Cause.OUT_OF_MEMORY, "PRUNED", {"memory"}),
        (Status.INFEASIBLE, Cause.REFUSED, "PRUNED", {"allowed"}),
        (Status.FAILED, Cause.LOSSY, "PRUNED", {"lossless"}),
        (Status.FAILED, Cause.CRASHED, "FAIL", set()),
    ],
)
def test_what_the_sampler_is_told(tmp_path: Path, status: Status, cause: Cause, state: str, broken: set[str]) -> None:
    """Points that cannot be deployed reach the sampler as constraints, because it ignores failed trials."""
    ledger = open_ledger(tmp_path)
    ledger.tell(answer(*ledger.ask(), status, cause))
    frozen = ledger._study.trials[0]
    assert frozen.state.name == state
    assert {name for name, value in frozen.constraints.items() if value > 0} == broken
    assert ledger.finished()[0].cause is cause


def test_out_of_memory_teaches_the_sampler(tmp_path: Path) -> None:
    """Above k = 5 memory ends: fewer trials than half go there, though none repeats another."""
    ledger = open_ledger(tmp_path, WIDE)
    for _ in range(50):
        number, parameters = ledger.ask()
        fits = parameters["method.k"] <= 5
        ending = (Status.COMPLETE, Cause.NONE) if fits else (Status.INFEASIBLE, Cause.OUT_OF_MEMORY)
        ledger.tell(answer(number, parameters, *ending))
    assert sum(trial.status is Status.INFEASIBLE for trial in ledger.finished()[25:]) <= 10


def test_records_survive_the_way_through_json(tmp_path: Path) -> None:
    trial = Trial(
        3,
        {"method.k": 2},
        Status.COMPLETE,
        speedup=1.5,
        interval=(1.1, 1.9),
        own_gains={"prompt-1": [0.2]},
        repeats=(1,),
    )
    ledger = open_ledger(tmp_path)
    number, _ = ledger.ask()
    ledger.tell(replace(trial, number=number))
    assert ledger.finished() == [replace(trial, number=number)]
    assert trial_from_json(trial.to_json()) == trial


def test_the_ranking_has_one_trial_a_configuration_its_last() -> None:
    first = Trial(0, {"k": 1}, Status.COMPLETE, speedup=2.0)
    better = Trial(1, {"k": 2}, Status.COMPLETE, speedup=1.8)
    again = Trial(2, {"k": 1}, Status.COMPLETE, speedup=1.5, repeats=(0,))
    lost = Trial(3, {"k": 3}, Status.FAILED, Cause.LOSSY, speedup=9.0)
    assert [trial.number for trial in ranking([first, better, again, lost])] == [1, 2]


@pytest.mark.parametrize(
    ("existing", "resume", "name"),
    [
        ({}, "auto", "s"),
        ({"s": False}, "auto", "s"),
        ({"s": True}, "auto", "s.2"),
        ({"s": True, "s.2": False}, "auto", "s.2"),
        ({"s": True, "s.2": True}, "auto", "s.3"),
        ({"s": True, "other.7": False, "sx": False}, "auto", "s.2"),
        ({"s": True}, "always", "s"),
        ({"s": False}, "never", "s.2"),
    ],
)
def test_which_study_is_meant(existing: dict[str, bool], resume: str, name: str) -> None:
    assert choose_name("s", existing, resume) == name


def test_the_lock_is_one_process_s(tmp_path: Path) -> None:
    held = StudyLock(tmp_path / "study.db", "s")
    with pytest.raises(UsageError, match="is being run by another process"):
        StudyLock(tmp_path / "study.db", "s")
    held.release()
    StudyLock(tmp_path / "study.db", "s").release()


def finalists(
    winner_k: int, runner_up_k: int, winner_ok: bool = True, runner_up_ok: bool = True
) -> dict[str, Confirmed]:
    def one(name: str, k: int, ok: bool) -> Confirmed:
        lost = () if ok else ("a at token 4",)
        trial = Trial(k, {"method.k": k, "method.n": 1}, Status.COMPLETE)
        return Confirmed(name, trial, {}, Interval(0.5, 0.4, 0.6, 16, ""), Verdict(100, 0, lost), {})

    return {WINNER: one(WINNER, winner_k, winner_ok), RUNNER_UP: one(RUNNER_UP, runner_up_k, runner_up_ok)}


TIE, BETTER, WORSE = (Interval(m, m - 0.1, m + 0.1, 16, "") for m in (0.0, 0.3, -0.3))


@pytest.mark.parametrize(
    ("found", "between", "chosen", "says"),
    [
        (finalists(6, 3), TIE, RUNNER_UP, "simpler"),
        (finalists(3, 6), TIE, WINNER, "simpler"),
        (finalists(3, 6), BETTER, RUNNER_UP, "clearly faster"),
        (finalists(6, 3), WORSE, WINNER, ""),
        (finalists(3, 6, winner_ok=False), WORSE, RUNNER_UP, "not lossless"),
        (finalists(6, 3, runner_up_ok=False), BETTER, WINNER, ""),
    ],
)
def test_who_is_announced(found: dict[str, Confirmed], between: Interval, chosen: str, says: str) -> None:
    name, why, _ = choose(found, lambda *_: between, SPACE)
    assert name == chosen
    assert says in why
