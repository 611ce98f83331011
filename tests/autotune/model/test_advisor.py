"""Studies on engines whose truth is known: found sooner, nothing lost, intervals that hold; all can be off."""

from __future__ import annotations

from dataclasses import replace
from statistics import fmean

import pytest

from autotune.model.advisor import Advisor
from autotune.model.candidates import around
from autotune.model.evidence import evidence_of, read
from autotune.model.predict import Prediction, experience
from autotune.search_space import space_of
from autotune.status import Status
from autotune.trial import Trial, trial_from_json
from benchmarks.model_value import NEAR, Outcome, ledger_in, runner_for, session_for, settings_for, study, truths

SEEDS = range(8)


@pytest.fixture(scope="module")
def found() -> list[Outcome]:
    return [study("K only", seed, model=True) for seed in SEEDS]


def test_the_winner_is_the_best_and_fewer_trials_find_it(found: list[Outcome]) -> None:
    assert sum(each.announced >= NEAR for each in found) >= len(SEEDS) - 1
    assert fmean(each.measured for each in found) < 0.75 * 16


def test_what_is_left_out_is_not_the_best(found: list[Outcome]) -> None:
    assert sum(len(each.account["left_out"]) for each in found) > len(SEEDS)
    assert sum(each.lost for each in found) <= 1


def test_the_intervals_hold(found: list[Outcome]) -> None:
    pairs = [pair for each in found for pair in each.account["predictions"]]
    assert len(pairs) > 5 * len(SEEDS)
    assert fmean(pair["covered"] for pair in pairs) >= 0.8
    assert fmean(each.account["mean_abs_log_error"] for each in found) < 0.05


def test_windows_are_told_from_their_neighbours() -> None:
    outcome = study("K and window", 0, model=True)
    assert outcome.announced >= NEAR
    assert outcome.measured < 40
    assert outcome.account["coverage"] >= 0.75


def test_the_best_point_is_foretold_from_one_run_at_the_largest() -> None:
    """Every smaller K from the one trial with K = 16."""
    settings, truth = settings_for("K, dear drafts", 3, True), truths("K, dear drafts", 3)
    advisor = Advisor(settings, space_of(settings))
    advisor.learn([measured(16, 3)])
    assert advisor.model is not None
    foretold = {}
    for tokens in range(1, 17):
        point = advisor.describe({"method.num_speculative_tokens": tokens})
        assert point is not None
        found = advisor.model.predict(point)
        assert found is not None
        foretold[tokens] = found
    best = max(foretold, key=lambda tokens: foretold[tokens].gain)
    by_tokens = {dict(key)["method.num_speculative_tokens"]: factor for key, factor in truth.items()}
    assert by_tokens[best] >= NEAR * max(by_tokens.values())


def measured(tokens: int, seed: int) -> Trial:
    settings = settings_for("K, dear drafts", seed, True)
    runner = runner_for(settings, session_for(settings, seed))
    outcome = runner.run(0, {"method.num_speculative_tokens": tokens})
    return replace(outcome.trial, evidence=evidence_of(outcome.results))


def test_what_the_model_knows_survives_the_record() -> None:
    trial = measured(4, 0)
    again = trial_from_json(trial.to_json())
    assert read(again.evidence) == read(trial.evidence)
    old = {key: value for key, value in trial.to_json().items() if key not in ("evidence", "prediction")}
    assert trial_from_json(old).evidence == {}


def test_it_can_be_switched_off() -> None:
    settings = settings_for("K only", 0, False)
    space = space_of(settings)
    advisor, ledger = Advisor(settings, space), ledger_in(space, settings)
    waiting = len(ledger._study.trials)
    advisor.learn([measured(4, 0)])
    advisor.propose(ledger)
    assert len(ledger._study.trials) == waiting
    assert advisor.prediction({"method.num_speculative_tokens": 2}) is None
    assert advisor.left_out(1, {"method.num_speculative_tokens": 2}) is None
    assert not advisor.nothing_left


def test_a_method_without_a_trial_has_no_prediction() -> None:
    settings = settings_for("K only", 0, True)
    advisor = Advisor(settings, space_of(settings))
    advisor.learn([])
    assert advisor.prediction({"method.num_speculative_tokens": 2}) is None
    advisor.learn([Trial(0, {"method.num_speculative_tokens": 4}, Status.FAILED)])
    assert advisor.prediction({"method.num_speculative_tokens": 2}) is None


def test_experience_widens_and_never_narrows() -> None:
    assert experience([]) == experience([0.1, -0.2]) == 1
    assert experience([3.0, -2.0, 2.5]) > 1.5
    low, high = Prediction(0.5, 0.1, experience([3.0]), ()).bounds
    assert high - low > 2 * 1.645 * 0.1


def test_the_neighbourhood_of_the_best_has_every_other_number_of_tokens() -> None:
    space = space_of(settings_for("K and window", 0, True))
    best = {"method.num_speculative_tokens": 4, "method.prompt_lookup_max": 5}
    found = {(p["method.num_speculative_tokens"], p["method.prompt_lookup_max"]) for p in
             (each.parameters for each in around(space, [best]))}  # fmt: skip
    assert found == {(tokens, 5) for tokens in range(1, 17)} | {(4, window) for window in range(4, 12)}


def test_a_lucky_best_counts_as_no_more_than_the_other_trials_allow() -> None:
    """One trial was measured far too fast; its neighbours say so, and K = 5 stays in."""
    settings = settings_for("K only", 0, True)
    runner = runner_for(settings, session_for(settings, 0))
    trials = []
    for number, tokens in enumerate((4, 8, 3, 6, 7)):
        outcome = runner.run(number, {"method.num_speculative_tokens": tokens})
        gains = {unit: [v + 1.0 * (number == 0) for v in values] for unit, values in outcome.trial.gains.items()}
        foretold = {"gain": 0.8, "sd": 0.4}
        trials.append(replace(outcome.trial, evidence=evidence_of(outcome.results), gains=gains, prediction=foretold,
                              speedup=(outcome.trial.speedup or 1) * (2.7 if number == 0 else 1)))  # fmt: skip
    advisor = Advisor(settings, space_of(settings))
    advisor.learn(trials)
    lucky = fmean(fmean(values) for values in trials[0].gains.values())
    assert advisor._best is not None
    assert advisor._best[0] < lucky - 0.2
    assert advisor.left_out(4, {"method.num_speculative_tokens": 5}) is None
