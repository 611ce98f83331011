"""Prompts brought to a length: where they are cut, what comes before them, what is refused."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from autotune.errors import UsageError
from autotune.worker.contexts import at_length, at_lengths
from autotune.worker.prompts import Prompt
from autotune.worker.protocol import WARM
from engine.sampling_params import SamplingParams

BEGIN = 1


def prompts(*texts: list[int]) -> list[Prompt]:
    return [Prompt(f"p-{place}", text, SamplingParams(max_tokens=10)) for place, text in enumerate(texts)]


def ids(found: list[Prompt]) -> list[list[int]]:
    return [prompt.token_ids for prompt in found]


def test_a_long_prompt_keeps_its_end_and_a_short_one_follows_those_before_it() -> None:
    found = at_length(prompts([11, 12], [21, 22, 23], [31, 32, 33, 34, 35]), 4, None)
    assert ids(found) == [[34, 35, 11, 12], [12, 21, 22, 23], [32, 33, 34, 35]]
    assert [prompt.request_id for prompt in found] == ["p-0", "p-1", "p-2"]


def test_the_beginning_of_every_text_stays_first_and_comes_once() -> None:
    found = at_length(prompts([BEGIN, 11, 12], [BEGIN, 21, 22, 23]), 6, BEGIN)
    assert ids(found) == [[BEGIN, 21, 22, 23, 11, 12], [BEGIN, 11, 12, 21, 22, 23]]


def test_few_prompts_come_round_again() -> None:
    assert ids(at_length(prompts([11, 12]), 5, None)) == [[12, 11, 12, 11, 12]]


def test_every_split_has_every_length_and_stands_for_the_shortest() -> None:
    whole = {"search": prompts([11, 12, 13]), WARM: prompts([91])}
    found = at_lengths(whole, (4, 2), SimpleNamespace(), None)
    assert {split: len(cut[0].token_ids) for split, cut in found.items()} == {
        "search@2": 2, "search@4": 4, "search": 2,
    }  # fmt: skip


def test_what_does_not_fit_and_what_is_empty_is_refused() -> None:
    with pytest.raises(UsageError, match=r"study.context_lengths has 8, with workload.max_tokens=10 more than max_mod"):
        at_lengths({"search": prompts([11])}, (2, 8), SimpleNamespace(), 16)
    with pytest.raises(UsageError, match="need"):
        at_length(prompts([]), 4, None)
