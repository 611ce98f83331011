"""Three finalists on the held-out prompts: who is announced."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from autotune.analysis import Verdict
from autotune.choice import RUNNER_UP, THIRD, WINNER, choose, finalists
from autotune.confirm import Confirmed
from autotune.dimension import Dimension
from autotune.space import Space
from autotune.stats import Interval
from autotune.status import Status
from autotune.trial import Trial
from benchmarks.short_studies import settings_for

SPACE = Space((Dimension("method.k", "int", 1, 10),), {"method.k": 4})
ALONE = ("method.search.prompt_lookup_min=null", "method.search.prompt_lookup_max=null")
STUDY = settings_for(["method=ngram"]).study


def held_out(gains: dict[str, float], ks: dict[str, int], half: float = 0.05, **more: object):
    """Finalists with these log-gains, and how they compare: every difference is known to `half`."""
    found = {
        name: Confirmed(name, Trial(0, {"method.k": ks[name], **more.get(name, {})}, Status.COMPLETE), {},
                        Interval(gain, gain - half, gain + half, 16, ""), Verdict(9, 0, ()), {})
        for name, gain in gains.items()
    }  # fmt: skip

    def between(one: str, other: str) -> Interval:
        apart = gains[one] - gains[other]
        return Interval(apart, apart - half, apart + half, 16, "")

    return found, between


KS = {WINNER: 5, RUNNER_UP: 7, THIRD: 6}


def test_the_third_is_announced_where_it_is_the_best():
    found, between = held_out({WINNER: 0.5, RUNNER_UP: 0.52, THIRD: 0.6}, KS)
    choice = choose(found, between, SPACE, 0.01)
    assert choice.arm == THIRD
    assert "clearly faster" in choice.why


def test_of_one_kind_the_one_that_looks_better_is_taken_though_it_is_not_shown():
    found, between = held_out({WINNER: 0.5, RUNNER_UP: 0.53}, KS)
    choice = choose(found, between, SPACE, 0.01)
    assert (choice.arm, choice.tie) == (RUNNER_UP, None)
    assert "the search had another order" in choice.why


@pytest.mark.parametrize("path", ["method", "method.speculative_token_tree"])
def test_a_costlier_kind_must_be_shown_to_be_better(path):
    found, between = held_out({WINNER: 0.5, RUNNER_UP: 0.53}, KS, **{RUNNER_UP: {path: "something"}})
    choice = choose(found, between, SPACE, 0.01)
    assert choice.arm == WINNER
    assert choice.tie is not None
    shown, known = held_out({WINNER: 0.5, RUNNER_UP: 0.6}, KS, **{RUNNER_UP: {path: "something"}})
    assert choose(shown, known, SPACE, 0.01).arm == RUNNER_UP


def test_a_difference_within_the_margin_goes_to_the_simpler_one_of_all():
    found, between = held_out({WINNER: 0.5, RUNNER_UP: 0.505, THIRD: 0.498}, {WINNER: 7, RUNNER_UP: 6, THIRD: 5})
    choice = choose(found, between, SPACE, 0.01)
    assert choice.arm == THIRD
    assert choice.tie is not None
    assert choice.tie.taken == {"method.k": 5}


def ranked(*levels: float) -> list[Trial]:
    """Trials with these log-gains on ten prompts that differ much, but for all alike."""
    units = {f"prompt-{i}": 0.1 * i for i in range(10)}
    return [
        Trial(number, {"method.k": number + 1}, Status.COMPLETE,
              gains={unit: [base + level + 0.002 * ((i + number) % 3)] for i, (unit, base) in enumerate(units.items())})
        for number, level in enumerate(levels)
    ]  # fmt: skip


def test_the_third_is_measured_again_only_where_the_search_could_not_tell_it_apart():
    assert [trial.number for trial in finalists(ranked(0.5, 0.4, 0.4995), STUDY)] == [0, 1, 2]
    assert [trial.number for trial in finalists(ranked(0.5, 0.45, 0.4), STUDY)] == [0, 1]
    assert [trial.number for trial in finalists(ranked(0.5), STUDY)] == [0]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_study_finalists_is_the_most(count):
    assert len(finalists(ranked(0.5, 0.5, 0.5, 0.5), replace(STUDY, finalists=count))) == count


def test_the_arms_of_a_confirmation_are_the_finalists(commands):
    """Drafts of 4 to 6 tokens all have 4 accepted ones here, at the same cost."""
    block = "method.search.num_speculative_tokens={int: [4, 6]}"
    done = commands.tune("study.n_trials=3", "engine.noise=0.2", "+engine.chain.row=0.0", *ALONE, block)
    assert done.status == 0, done.err
    lines = (done.folder / "samples" / "confirm.jsonl").read_text().splitlines()
    arms = {name for line in lines for name in json.loads(line)["runs"]}
    assert arms == {"baseline", WINNER, RUNNER_UP, THIRD}
