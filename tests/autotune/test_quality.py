"""The scores of the model card: right answers get full marks, other answers little; loops are found."""

import pytest

from autotune import quality
from workloads.build import examples


@pytest.mark.parametrize("task", list(quality.MEASURES))
def test_the_reference_scores_one_and_chance_is_low(task):
    chosen = examples(task, split="eval", num_prompts=30, seed=1)
    for name, value in quality.scores(task, chosen, [example.reference for example in chosen]).items():
        assert value["score"] == 1.0, name
        assert value["chance"] < (0.8 if name == "parses" else 0.5), name


def test_wrong_answers_lose():
    (example,) = examples("math", split="eval", num_prompts=1)
    assert quality.final_number(example, f"The answer is {int(example.key) + 1}.") == 0
    assert quality.final_number(example, "no answer") == 0
    (example,) = examples("translation", split="eval", num_prompts=1)
    assert quality.word_accuracy(example, "") == 0
    (example,) = examples("code", split="eval", num_prompts=1)
    assert quality.parses(example, "return (") == 0


@pytest.mark.parametrize(
    ("tokens", "looping"),
    [
        ([1, 2, 3] * 10, True),
        ([9] * 24, True),
        ([5, 6] + list(range(20)) * 3, True),
        ([9] * 23, False),
        (list(range(100)), False),
        ([1, 2, 3] * 10 + [7], False),
        ([], False),
    ],
)
def test_loops(tokens, looping):
    assert quality.loops(tokens) is looping
