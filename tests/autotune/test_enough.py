"""How much is measured: fewer units, the plan, or more passes; and when the search ends."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from autotune.enough import Enough, floor
from autotune.settings import StudySettings
from autotune.status import Cause, Status
from autotune.stop_rule import Budget, StopRule, without_progress
from autotune.trial import Trial

RULE = Enough(0.02, 0.95, visits=16, passes=2, most=4, early=True, new_units=False)
STUDY = StudySettings(None, None, "auto", 12, 3, 0, 0.05, 5, 0.95, 500, 60.0, 60.0, 3)


def measured(units: int, prompts: float, noise: float, repeats: int = 1) -> dict[str, list[float]]:
    rng = np.random.default_rng(0)
    centres = rng.normal(0.3, prompts, size=units)
    return {f"prompt-{i}": list(rng.normal(centre, noise, size=repeats)) for i, centre in enumerate(centres)}


def test_without_a_precision_the_plan_is_measured() -> None:
    rule = replace(RULE, precision=None)
    assert rule.ends({}, 31) is None
    assert rule.ends({}, 32) == ""


def test_a_narrow_interval_ends_a_trial_at_its_looks_only() -> None:
    narrow = measured(12, prompts=0.005, noise=0.0)
    assert "narrow enough after 12 of 32" in (RULE.ends(narrow, 12) or "")
    assert RULE.ends(narrow, 11) is None
    assert RULE.ends(measured(4, 0.001, 0.0), 4) is None  # too few to know their spread
    assert replace(RULE, early=False).ends(narrow, 12) is None


def test_passes_are_added_up_to_a_limit_while_repeats_help() -> None:
    noisy = measured(16, prompts=0.0, noise=0.2, repeats=2)
    assert RULE.ends(noisy, 32) is None
    assert RULE.ends(noisy, 40) is None  # inside a pass
    assert "the most that study.max_passes allows" in (RULE.ends(noisy, 64) or "")
    assert "narrow enough after 48 visits" in (RULE.ends(measured(16, 0.0, 0.01, 3), 48) or "")
    assert RULE.expected(0) == 32
    assert RULE.expected(33) == 48


def test_passes_are_not_added_where_only_more_prompts_would_help() -> None:
    spread = measured(16, prompts=0.3, noise=0.01, repeats=2)
    assert floor(spread, 0.95) > 0.08
    assert "more prompts would help" in (RULE.ends(spread, 32) or "")
    assert replace(RULE, new_units=True).ends(spread, 32) is None
    assert floor(measured(16, 0.3, 0.01), 0.95) == 0  # one visit each does not tell


def trial(number: int, speedup: float, seconds: float = 10.0, status: Status = Status.COMPLETE) -> Trial:
    cause = Cause.NONE if status is Status.COMPLETE else Cause.WORSE
    return Trial(number, {"method.k": number}, status, cause, speedup=speedup, seconds=seconds)


def rule(now: list[float], total: int = 12, **study: object) -> StopRule:
    settings = replace(STUDY, **study)  # type: ignore[arg-type]
    return StopRule(settings, total, 2.0, Budget(settings.budget_minutes, lambda: now[0]))


def test_the_budget_keeps_room_for_the_confirmation() -> None:
    now = [100.0]
    stop = rule(now, budget_minutes=1)
    trials = [trial(0, 1.2), trial(1, 1.1)]
    now[0] = 129.0
    assert stop.reason(trials) is None  # 31 s are left for a trial of 10 and a confirmation of 20
    now[0] = 131.0
    assert "study.budget_minutes=1 is spent but for the confirmation (about 20 s)" in (stop.reason(trials) or "")
    assert stop.reason([]) is None  # one trial is always made


def test_the_planned_number_is_no_reason_to_speak_of() -> None:
    assert rule([0.0], total=2).reason([trial(0, 1.0), trial(1, 1.0)]) == ""
    assert rule([0.0]).reason([trial(0, 1.0), trial(1, 1.0)]) is None


def test_patience_counts_configurations_since_the_last_gain_that_matters() -> None:
    speedups = (1.0, 1.5, 1.505, 1.4, 1.51)
    trials = [trial(number, speedup) for number, speedup in enumerate(speedups)]
    assert without_progress(trials, 0.02) == 3
    assert without_progress([*trials, replace(trials[3], number=5)], 0.02) == 3  # a repeat is no new configuration
    assert "study.patience=3" in (rule([0.0], patience=3).reason(trials) or "")
    assert rule([0.0], patience=4).reason(trials) is None


def test_a_model_may_end_the_search() -> None:
    stop = replace(rule([0.0]), nothing_left=lambda: "nothing is left that could win")
    assert stop.reason([trial(0, 1.0)]) == "nothing is left that could win; 1 of 12 trials were enough"
    assert stop.reason([trial(0, 1.0)], done=12) == ""


def test_a_study_with_a_budget_says_that_it_ended_early(commands) -> None:
    done = commands.tune("study.budget_minutes=0.02", "engine.slow=0.001", "study.n_trials=8", "study.prune_alpha=0")
    assert done.status == 0, done.err
    assert 1 <= len(done.trials) < 8
    assert "study.budget_minutes=0.02 is spent" in done.out


@pytest.mark.parametrize(("precision", "fewer", "says"), [(0.5, True, "narrow enough"), (0.0005, False, "differ")])
def test_a_study_with_a_precision(precision: float, fewer: bool, says: str, commands) -> None:
    done = commands.tune(
        f"study.precision={precision}", "study.n_trials=1", "workload.num_prompts=16", "study.prune_alpha=0"
    )
    assert done.status == 0, done.err
    trial = done.trials[0]
    assert (trial["units"] < 16) is fewer
    assert (max(len(values) for values in trial["log_gains"].values()) > 1) is not fewer
    assert says in trial["ended"]


@pytest.mark.parametrize("word", ["study.precision=-1", "study.budget_minutes=0", "study.tie_margin=2"])
def test_what_is_refused(word: str, commands) -> None:
    done = commands.tune(word)
    assert done.status == 2
    assert done.err.startswith(f"error: {word.partition('=')[0]} is ")
