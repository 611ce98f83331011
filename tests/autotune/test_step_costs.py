"""The table of step costs: from a run that was timed, read back, between and beyond what was measured."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from autotune.errors import UsageError
from autotune.samples import ArmRun, Counters, UnitResult
from autotune.step_costs import FEWEST_STEPS, StepCosts, read, table

NAMES = SimpleNamespace(name="m")
SETTINGS = SimpleNamespace(model=NAMES, method=NAMES, workload=NAMES)


def result(candidate: dict[int, list[float]]) -> UnitResult:
    def run(name: str, seconds: dict[int, list[float]]) -> ArmRun:
        return ArmRun(name, 1.0, (), Counters(), seconds)

    runs = {"baseline": run("baseline", {1: [0.002] * 9 + [0.5]}), "candidate": run("candidate", candidate)}
    return UnitResult("prompt-0", 0, tuple(runs), runs)


def test_costs_are_of_quick_steps_over_quick_steps_without_speculation() -> None:
    slow = [0.003] * 3 + [0.9] * 7
    found = table([result({5: slow, 1: [0.0022] * 10}), result({3: [0.1] * (FEWEST_STEPS - 1)})], SETTINGS, {})
    assert found is not None
    assert {rows: round(cost, 9) for rows, cost in found["cost"].items()} == {"1": 1.1, "5": 1.5}
    assert found["steps"] == {"1": 10, "5": 10}


def test_no_table_where_nothing_was_drafted_or_timed() -> None:
    assert table([result({1: [0.1] * 20})], SETTINGS, {}) is None
    assert table([result({})], SETTINGS, {}) is None


def test_between_and_beyond_what_was_measured() -> None:
    costs = StepCosts(((1, 1.0), (3, 1.2), (5, 1.6)))
    assert [round(costs.cost(rows), 9) for rows in (1, 2, 3, 4, 5, 7, 10)] == [1.0, 1.1, 1.2, 1.4, 1.6, 1.9, 2.35]
    with pytest.raises(UsageError, match="end at 5 rows, a step of 11 is too far beyond"):
        costs.cost(11)


def write(path: Path, content: object) -> str:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


def test_a_table_without_steps_of_one_row_begins_at_one(tmp_path: Path) -> None:
    assert read(write(tmp_path / "c.json", {"cost": {"10": 2.0, "9": 1.8}})).points == ((1, 1.0), (9, 1.8), (10, 2.0))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "no table of step costs"),
        ([1], "no table of step costs"),
        ({"cost": {"one": 1}}, "no table of step costs"),
        ({"cost": {}}, "must be above 0"),
        ({"cost": {"1": 0}}, "must be above 0"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, content: object, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        read(write(tmp_path / "c.json", content))
    with pytest.raises(UsageError, match="cannot be read"):
        read(str(tmp_path / "missing.json"))


def test_a_bench_leaves_the_table_of_its_engine(commands) -> None:
    """On the engine of the tests a step costs 5 % more for every drafted token."""
    done = commands.bench("method.num_speculative_tokens=4")
    assert done.status == 0, done.err
    costs = read(str(done.folder / "step_costs.json"))
    assert costs.points == ((1, pytest.approx(1.0, rel=0.01)), (5, pytest.approx(1.2, rel=0.01)))
