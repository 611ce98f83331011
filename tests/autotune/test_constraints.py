"""Limits that a configuration must keep: read, judged, told to the sampler, checked again on the held-out prompts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import optuna
import pytest

from autotune.analysis import Verdict
from autotune.choice import RUNNER_UP, WINNER, by_limits
from autotune.confirm import Confirmed
from autotune.constraints import Found, broken, check, found_in, parse
from autotune.errors import UsageError
from autotune.limits import judged, nobody
from autotune.stats import Interval
from autotune.status import Cause, Status
from autotune.trial import Trial, ranking, trial_from_json
from autotune.worker import memory
from tests.autotune.conftest import Commands
from tests.autotune.test_study import WIDE, open_ledger

LIMITS = parse({"ttft_ms_p95": {"max": 200}, "speedup": {"min": 1.2}})
WRONG = {
    "unknown name": ({"ttft_ms_p96": {"max": 1}}, "did you mean 'ttft_ms_p9"),
    "no bound": ({"speedup": 1.2}, "must be {max: x} or {min: x}"),
    "unknown bound": ({"speedup": {"most": 1.2}}, "must be {max: x} or {min: x}"),
    "no number": ({"speedup": {"min": "much"}}, "must be a number of at least 0"),
    "not finite": ({"speedup": {"min": float("inf")}}, "must be a number of at least 0"),
    "true": ({"memory_gib": {"max": True}}, "must be a number of at least 0"),
    "empty range": ({"memory_gib": {"min": 3, "max": 2}}, "nothing can keep both"),
    "no mapping": (["speedup"], "must be a mapping"),
}


@pytest.mark.parametrize(("block", "text"), WRONG.values(), ids=WRONG)
def test_what_is_no_constraint(block: object, text: str) -> None:
    with pytest.raises(UsageError, match=r"constraint") as caught:
        parse(block)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_both_bounds_and_null() -> None:
    assert [each.key for each in parse({"e2e_ms_p50": {"max": 2, "min": 1}, "speedup": None})] == [
        "e2e_ms_p50.min",
        "e2e_ms_p50.max",
    ]


@pytest.mark.parametrize(("name", "replays"), [("ttft_ms_p95", True), ("memory_gib", True), ("goodput_share", False)])
def test_what_a_run_cannot_measure_is_refused(name: str, replays: bool) -> None:
    with pytest.raises(UsageError, match=name):
        check(parse({name: {"max": 1}}), replays=replays, has_slo=False)


def measured(number: int, ttft: float | None, speedup: float, k: int = 1) -> Trial:
    return Trial(number, {"method.k": k}, Status.COMPLETE, speedup=speedup, metrics={"ttft_ms": {"p95": ttft}},
                 baseline={"ttft_ms": {"p95": 150.0}}, gains={"prompt-0": [0.1]}, units=5)  # fmt: skip


@pytest.mark.parametrize(
    ("ttft", "speedup", "violations"),
    [(100.0, 1.5, [-0.5, -0.25]), (200.0, 1.2, [0.0, 0.0]), (300.0, 1.5, [0.5, -0.25]), (None, 0.6, [1.0, 0.5])],
)
def test_violations_are_relative_and_zero_is_kept(ttft: float | None, speedup: float, violations: list[float]) -> None:
    trial = judged(measured(0, ttft, speedup), LIMITS)
    assert list(trial.violations.values()) == pytest.approx(violations)
    kept = max(violations) <= 0
    assert trial.status is (Status.COMPLETE if kept else Status.INFEASIBLE)
    assert trial.cause is (Cause.NONE if kept else Cause.LIMITS)
    assert trial_from_json(trial.to_json()) == trial


def test_the_fastest_is_not_the_winner_where_it_breaks_a_limit() -> None:
    trials = [judged(trial, LIMITS) for trial in (measured(0, 100, 1.3), measured(1, 201, 3.0, k=2))]
    assert [trial.number for trial in ranking(trials)] == [0]
    assert trials[1].reason == "ttft_ms_p95 is 201, at most 200 is allowed"


def test_what_was_pruned_tells_the_sampler_and_stays_pruned() -> None:
    trial = judged(replace(measured(0, 300, 1.0), status=Status.PRUNED, cause=Cause.WORSE), LIMITS)
    assert (trial.status, trial.cause) == (Status.PRUNED, Cause.WORSE)
    assert max(trial.violations.values()) == pytest.approx(0.5)


def test_of_none_the_closest_is_named_with_what_it_lacks() -> None:
    trials = [judged(trial, LIMITS) for trial in (measured(0, 400, 1.3), measured(1, 210, 1.5), measured(2, 190, 1.0))]
    said = nobody(trials, LIMITS)
    assert said.startswith(
        "None of 3 measured configurations kept ttft_ms_p95 of at most 200, speedup of at least 1.2."
    )
    assert "Trial 2 came closest: ttft_ms_p95 is 210, at most 200 is allowed (5.0 % off; 150 without" in said
    assert nobody([measured(0, 100, 1.5)], LIMITS) == ""


def test_the_sampler_learns_where_the_limits_are_kept(tmp_path: Path) -> None:
    """The faster, the more time to the first token: above k = 5 the limit is broken, and fewer trials than half
    go there, though none repeats another.
    """
    ledger = open_ledger(tmp_path, WIDE)
    for _ in range(50):
        number, parameters = ledger.ask()
        k = parameters["method.k"]
        trial = measured(number, 40.0 * k, 1.2 + k / 10)
        ledger.tell(judged(replace(trial, parameters=parameters), LIMITS))
    frozen = next(t for t in ledger._study.trials if t.params["method.k"] > 5)
    assert frozen.state is optuna.trial.TrialState.PRUNED
    assert frozen.constraints["ttft_ms_p95.max"] > 0
    assert sum(trial.status is Status.INFEASIBLE for trial in ledger.finished()[25:]) <= 10


def held_out(arm: str, ttft: float) -> Confirmed:
    limits = found_in(LIMITS, {"ttft_ms": {"p95": ttft}}, 1.5)
    return Confirmed(arm, measured(0, ttft, 1.5), {}, Interval(0.4, 0.3, 0.5, 16, ""), Verdict(100, 0, ()), {}, limits)


@pytest.mark.parametrize(
    ("winner", "runner_up", "taken"), [(250, 150, RUNNER_UP), (250, 260, WINNER), (150, 250, WINNER)]
)
def test_a_winner_over_the_limit_on_held_out_prompts_steps_back(winner: float, runner_up: float, taken: str) -> None:
    found = {WINNER: held_out(WINNER, winner), RUNNER_UP: held_out(RUNNER_UP, runner_up)}
    name, why = by_limits(found, WINNER, "")
    assert name == taken
    assert bool(why) == (taken is RUNNER_UP)


def test_the_peak_is_forgotten_and_found_again() -> None:
    memory.reset_peak()
    before = memory.peak()
    block = bytearray(200 * 2**20)
    block[::4096] = b"x" * len(block[::4096])
    assert memory.peak() - before > 150 * 2**20
    del block


def test_a_study_within_limits(commands: Commands) -> None:
    """Four of a draft are accepted at most, so that more than four tokens have less than this acceptance."""
    done = commands.tune(
        "+constraints.acceptance_rate={min: 0.95}", "+constraints.memory_gib={max: 64}", "study.n_trials=8"
    )
    assert done.status == 0, done.err
    best = done.line
    assert best["parameters"]["num_speculative_tokens"] <= 3
    assert {t["status"] for t in done.trials if t["parameters"]["num_speculative_tokens"] > 4} <= {
        "infeasible",
        "pruned",
    }
    details = json.loads((done.folder / "best.json").read_text())["details"]
    assert [(each["name"], each["kept"]) for each in details["constraints"]] == [
        ("acceptance_rate", True),
        ("memory_gib", True),
    ]
    assert any("All limits are kept on the held-out prompts" in note for note in details["notes"])


def test_a_study_that_nobody_wins(commands: Commands) -> None:
    done = commands.tune("+constraints.speedup={min: 50}", "study.n_trials=3")
    assert done.status == 1
    assert done.line["speedup"] is None
    assert "No configuration keeps all limits" in done.out
    assert "came closest: speedup is" in done.out


def test_a_wrong_name_is_one_line(commands: Commands) -> None:
    done = commands.tune("+constraints.ttft_p95={max: 50}")
    assert done.status == 2
    assert "unknown constraint ttft_p95; did you mean" in done.err
    assert len(done.err.strip().splitlines()) == 1


def test_kept_and_broken() -> None:
    kept, over = Found(LIMITS[0], 199.0), Found(LIMITS[0], None)
    assert broken([kept, over]) == [over]
    assert str(over) == "ttft_ms_p95 is not measured, at most 200 is allowed"
