"""A knob without effect is told from the counters, its trials are merged, and the result says so."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from autotune.choice import RUNNER_UP, WINNER, choose
from autotune.dimension import Dimension
from autotune.samples import Counters
from autotune.settings import ObjectiveSettings, StudySettings
from autotune.space import Space
from autotune.stats import Interval
from autotune.status import Cause, Status
from autotune.ties import Tie, ties
from autotune.trial import Trial, trial_from_json
from autotune.trust.effects import fingerprint, judge, merged, name_of
from autotune.trust.knobs import alike, contenders
from tests.autotune.test_study import BETTER, SPACE, TIE, finalists

STUDY = StudySettings(None, None, "auto", 12, 3, 0, 0.05, 5, 0.95, 500, 60.0, 60.0, 3)
KN = Space((Dimension("method.k", "int", 1, 9), Dimension("method.n", "int", 1, 9)), {"method.k": 4, "method.n": 2})


def trial(number: int, k: int, n: int, counted: str, gain: float = 0.4, status: Status = Status.COMPLETE) -> Trial:
    gains = {f"prompt-{i}": [gain + i / 100 + number / 1000] for i in range(10)}
    effects = {f"prompt-{i}": f"{counted}{i}" for i in range(10)}
    return Trial(number, {"method.k": k, "method.n": n}, status, Cause.NONE, speedup=1 + gain, gains=gains,
                 own_gains=gains, effects=effects)  # fmt: skip


def judged(*trials: Trial) -> tuple[list[str], list[str], list[str]]:
    knobs = judge(trials, lambda left, right: alike(left, right, STUDY))
    found = ([knob.knob for knob in knobs.dead], knobs.alive, knobs.unknown)
    dead, alive, unknown = ([name_of(knob) for knob in each] for each in found)
    return dead, alive, unknown


def test_equal_counts_in_all_pairs_make_a_dead_knob() -> None:
    trials = (trial(0, 4, 2, "a"), trial(1, 4, 3, "a"), trial(2, 5, 3, "b"), trial(3, 4, 7, "a"))
    knobs = judge(trials, lambda left, right: alike(left, right, STUDY))
    assert [name_of(knob.knob) for knob in knobs.dead] == ["n"]
    assert knobs.dead[0].values == (2, 3, 7)
    assert knobs.dead[0].trials == (0, 1, 3)
    assert [name_of(knob) for knob in knobs.alive] == ["k"]
    assert "n is dead here: 2, 3 and 7 left" in knobs.dead[0].sentence()


def test_one_pair_that_counts_differently_makes_it_live() -> None:
    assert judged(trial(0, 4, 2, "a"), trial(1, 4, 3, "a"), trial(2, 4, 4, "b"))[:2] == ([], ["n"])


def test_a_knob_that_costs_time_is_not_dead() -> None:
    """Equal counts at another speed: a kernel, a precision, a number of threads."""
    assert judged(trial(0, 4, 2, "a", 0.4), trial(1, 4, 3, "a", 0.1))[0] == []


def test_pairs_that_differ_in_more_tell_nothing() -> None:
    assert judged(trial(0, 4, 2, "a"), trial(1, 5, 3, "a")) == ([], [], ["k", "n"])


def test_each_method_has_knobs_of_its_own() -> None:
    """Dead in one method, alive in another of the same name."""
    by = {"ngram": ("a", "a"), "suffix": ("b", "c")}
    trials = [
        replace(each, parameters={"method": method, **each.parameters})
        for method, counted in by.items()
        for each in (trial(len(method), 4, 2, counted[0]), trial(len(method) + 1, 4, 3, counted[1]))
    ]
    assert judged(*trials)[:2] == (["ngram.n"], ["suffix.n"])


def test_old_records_and_failed_trials_tell_nothing() -> None:
    plain = trial(0, 4, 2, "a").to_json()
    del plain["effects"], plain["baseline_times"], plain["attempts"], plain["ended"]
    old = trial_from_json(plain)
    assert old.effects == {}
    assert judged(old, trial(1, 4, 3, "a"), trial(2, 4, 5, "a", status=Status.INVALID))[:2] == ([], [])


def test_trials_of_one_configuration_are_pooled_under_the_simplest() -> None:
    trials = [trial(0, 4, 5, "a"), trial(1, 6, 2, "b", 0.2), trial(2, 4, 3, "a"), trial(3, 4, 9, "c")]
    knobs = judge(trials[:3], lambda left, right: alike(left, right, STUDY))
    assert [[t.number for t in group] for group in merged(trials, knobs.dead)] == [[0, 2], [1], [3]]
    settings: Any = SimpleNamespace(study=STUDY, mix=None, objective=ObjectiveSettings("tpot", "tpot"))
    first = next(t for t in contenders(trials, knobs.dead, KN, settings) if t.parameters["method.k"] == 4 and t.repeats)
    assert first.parameters == {"method.k": 4, "method.n": 3}
    assert first.repeats == (0,)
    assert [len(values) for values in first.gains.values()] == [2] * 10


def test_times_are_no_counts() -> None:
    assert fingerprint(Counters(1, 2, 3, draft_s=0.1)) == fingerprint(Counters(1, 2, 3, draft_s=0.2))
    assert fingerprint(Counters(1, 2, 3)) != fingerprint(Counters(1, 2, 2))


def test_a_study_reports_the_knobs_that_the_engine_ignores(commands) -> None:
    """The fake engine reads K alone."""
    done = commands.tune("study.n_trials=6")
    assert done.status == 0, done.err
    trust = json.loads((done.folder / "best.json").read_text())["details"]["trust"]
    assert {knob["knob"] for knob in trust["dead_knobs"]} == {"prompt_lookup_min", "prompt_lookup_max"}
    assert "prompt_lookup_max is dead here" in done.out
    assert "num_speculative_tokens" not in {knob["knob"] for knob in trust["dead_knobs"]}


def test_the_probes_can_be_left_out(commands) -> None:
    done = commands.tune("study.n_trials=2", "study.knob_visits=0")
    trust = json.loads((done.folder / "best.json").read_text())["details"]["trust"]
    assert trust["dead_knobs"] == []
    assert set(trust["unjudged_knobs"]) >= {"prompt_lookup_min", "prompt_lookup_max"}


@pytest.mark.parametrize(
    ("between", "says"),
    [
        (Interval(0.01, 0.005, 0.015, 16, ""), "less than the 2% that matter"),
        (Interval(0.05, -0.1, 0.2, 16, ""), "times as good as the other"),
        (Interval(0.05, 0.01, 0.09, 16, ""), ""),
    ],
)
def test_what_is_a_tie(between: Interval, says: str) -> None:
    assert says in ties(between, 0.02)
    assert bool(says) == bool(ties(between, 0.02))


def test_a_difference_that_does_not_matter_goes_to_the_simpler_one() -> None:
    slightly = Interval(0.01, 0.005, 0.015, 16, "")
    taken, _, tie = choose(finalists(3, 6), lambda *_: slightly, SPACE, 0.02)
    assert taken == WINNER  # the runner-up is 1 % faster and needs twice the tokens
    assert tie is not None
    assert "A tie between k=3 and k=6" in tie.sentence()
    assert choose(finalists(3, 6), lambda *_: slightly, SPACE, 0.005).arm == RUNNER_UP
    assert choose(finalists(3, 6), lambda *_: BETTER, SPACE, 0.02).tie is None
    assert choose(finalists(6, 3), lambda *_: TIE, SPACE, 0.02).arm == RUNNER_UP


def test_a_tie_as_it_is_recorded() -> None:
    tie = Tie({"method.k": 3}, {"method.k": 6}, TIE, 0.02, "so")
    assert tie.to_json()["taken"] == {"k": 3}
    assert tie.to_json()["left"] == {"k": 6}
