"""The losslessness gate: every token counts, and only a target that was itself undecided excuses a difference."""

from __future__ import annotations

import numpy as np
import pytest

from autotune.analysis import Verdict, verdict
from autotune.samples import ArmRun, Counters, Divergence, RequestSample, UnitResult
from autotune.worker.judge import first_difference, judge, tolerance
from autotune.worker.prompts import Prompt
from engine.sampling_params import SamplingParams

PROMPT = Prompt("request", [7, 8], SamplingParams(temperature=0.0))


class Scores:
    """Answers with fixed scores, and remembers what it was asked."""

    def __init__(self, scores: dict[int, float]) -> None:
        self.values = np.full(20, -5.0)
        for token, score in scores.items():
            self.values[token] = score

    def next_token_scores(self, tokens, params, position, num_prompt_tokens=None):
        self.asked = (list(tokens), position, num_prompt_tokens)
        return self.values


@pytest.mark.parametrize(
    ("left", "right", "where"), [([1, 2], [1, 2], None), ([1, 2], [1, 3], 1), ([1, 2], [1], 1), ([], [4], 0)]
)
def test_first_difference(left: list[int], right: list[int], where: int | None) -> None:
    assert first_difference(left, right) == where


def test_equal_answers_are_not_even_scored() -> None:
    assert judge(None, PROMPT, "candidate", [1, 2, 3], [1, 2, 3], "float32") is None


@pytest.mark.parametrize(("gap", "excused"), [(0.0, True), (9e-5, True), (1.1e-4, False), (1.0, False)])
def test_only_a_near_tie_of_the_target_excuses(gap: float, excused: bool) -> None:
    engine = Scores({5: 3.0, 6: 3.0 - gap})
    found = judge(engine, PROMPT, "candidate", [1, 5, 9], [1, 6, 2], "float32")
    assert found is not None
    assert found.excused is excused
    assert found.gap == pytest.approx(gap)
    assert engine.asked == ([7, 8, 1], 3, 2)


def test_a_tie_between_two_tokens_that_the_target_would_not_choose_excuses_nothing() -> None:
    found = judge(Scores({5: 1.0, 6: 1.0, 4: 3.0}), PROMPT, "candidate", [5], [6], "float32")
    assert found is not None
    assert not found.excused


def test_going_on_where_the_baseline_ends_is_a_loss() -> None:
    found = judge(None, PROMPT, "candidate", [1, 2], [1, 2, 3], "float32")
    assert found is not None
    assert (found.excused, found.gap, found.candidate_token) == (False, None, 3)


def test_half_precision_is_judged_by_its_own_grain() -> None:
    assert tolerance("float32", 100.0) == 1e-4
    assert tolerance("float16", 8.0) < tolerance("bfloat16", 8.0) < tolerance("bfloat16", 16.0) < 1.0


@pytest.mark.parametrize(
    ("tokens", "ties", "lossless"), [(500, 1, True), (500, 2, False), (300_000, 3, True), (300_000, 4, False)]
)
def test_near_ties_must_be_rare(tokens: int, ties: int, lossless: bool) -> None:
    found = Verdict(tokens, ties, ())
    assert found.lossless is lossless
    assert bool(found.reason) is not lossless


def test_in_half_precision_ties_are_counted_and_not_limited() -> None:
    assert Verdict(500, 9, (), ties_are_rare=False).lossless
    assert not Verdict(500, 9, ("a at token 4",), ties_are_rare=False).lossless


def test_a_tie_met_again_counts_once_and_a_loss_always() -> None:
    request = RequestSample("a", 3, 50, 0.1, 0.2, 0.01, 0, 0, 0)
    runs = {name: ArmRun(name, 1.0, (request,), Counters()) for name in ("baseline", "candidate")}
    tie = Divergence("a", "candidate", 4, 1, 2, 1e-6, 1e-4, True)
    results = [UnitResult("prompt-0", repeat, ("baseline", "candidate"), runs, (tie,)) for repeat in range(3)]
    assert verdict(results, "candidate").to_json() == {
        "lossless": True, "output_law": "target", "compared_tokens": 150, "near_ties": 1, "answers": 1,
        "differing_answers": 0, "divergences": [],
    }  # fmt: skip
    loss = Divergence("a", "candidate", 4, 1, 2, 0.5, 1e-4, False)
    found = verdict([UnitResult("prompt-0", 0, ("baseline", "candidate"), runs, (loss,))], "candidate")
    assert not found.lossless
    assert "a at token 4: score gap 5.00e-01" in found.reason
