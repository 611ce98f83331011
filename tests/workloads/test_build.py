"""The same call gives the same prompts; splits share nothing; wrong calls are refused with what is allowed."""

import pytest

import workloads
from workloads.request import SPLITS

GENERATED = ["summarization", "chat", "qa", "math", "translation", "rag", "code", "mixed"]


def prompts(source, split, seed=0, number=40):
    return [request.prompt for request in workloads.build(source, split=split, num_prompts=number, seed=seed)]


@pytest.mark.parametrize("source", GENERATED)
def test_the_same_call_gives_the_same_prompts_and_another_seed_others(source):
    assert prompts(source, "search") == prompts(source, "search")
    assert prompts(source, "search") != prompts(source, "search", seed=1)


@pytest.mark.parametrize("source", GENERATED)
def test_a_shorter_list_is_the_beginning_of_a_longer_one(source):
    assert prompts(source, "search", number=5) == prompts(source, "search", number=9)[:5]


@pytest.mark.parametrize("source", GENERATED)
def test_splits_share_no_prompt(source):
    found = [set(prompts(source, split)) for split in SPLITS]
    assert len(set.union(*found)) == sum(map(len, found)) == 160


def test_requests_say_where_they_come_from():
    request = workloads.build("qa", split="confirm", num_prompts=3, seed=4, max_tokens=17, temperature=0.5)[2]
    assert request.request_id == "qa-confirm-2"
    assert (request.max_tokens, request.sampling) == (17, {"temperature": 0.5})
    assert request.tags["workload"] == request.tags["task"] == "qa"
    assert request.prompt[-1].role == "user"
    assert request.reference


def test_mixed_tags_the_task():
    tasks = [request.tags["task"] for request in workloads.build("mixed", split="search", num_prompts=8)]
    assert tasks[:7] == GENERATED[:7]
    assert tasks[7] == GENERATED[0]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ({"source": "sumarization"}, ["'sumarization'", "did you mean 'summarization'", "spec_bench"]),
        ({"source": "chat", "split": "dev"}, ["'dev'", "search, confirm"]),
        ({"source": "chat", "num_prompts": 0}, ["num_prompts is 0", "at least 1"]),
        ({"source": "chat", "max_tokens": True}, ["max_tokens is True", "at least 1"]),
        ({"source": "chat", "colour": "red"}, ["'colour'", "allowed: none"]),
        ({"source": "code", "num_prompts": 10**6}, ["fewer than the 1000000", "lower num_prompts"]),
    ],
)
def test_wrong_calls_are_refused_in_one_line(call, words):
    with pytest.raises(workloads.WorkloadError) as caught:
        workloads.build(**{"split": "search", "num_prompts": 2, **call})
    text = str(caught.value)
    assert "\n" not in text
    assert all(word in text for word in words)
