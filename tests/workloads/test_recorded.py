"""Recorded pairs: both layouts, the share of the search, and one clear line for everything that cannot be read."""

import json

import pytest

import workloads


def write(folder, name, *rows):
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def build(path, split="confirm", number=None, search_share=0.0, **options):
    return workloads.build("recorded", split=split, num_prompts=number, path=path, search_share=search_share, **options)


def pairs(requests):
    return {request.prompt: request.response for request in requests}


def test_plain_pairs_are_text_or_token_ids(tmp_path):
    path = write(
        tmp_path,
        "pairs.jsonl",
        {"prompt": "p", "response": "r"},
        {"prompt": [1, 2], "response": [3]},
        {"prompt": "q", "response": ""},
    )
    assert pairs(build(path)) == {"p": "r", (1, 2): (3,), "q": ""}


def test_answers_are_joined_with_their_questions_on_the_first_turn(tmp_path):
    answers = write(
        tmp_path,
        "answers.jsonl",
        {"question_id": 7, "choices": [{"turns": ["a7", "later"]}, {"turns": ["other"]}]},
        {"question_id": "8", "choices": [{"turns": ["a8"]}]},
    )
    questions = write(
        tmp_path, "questions.jsonl", *({"question_id": n, "turns": [f"q{n}", "later"]} for n in (6, 7, 8))
    )
    assert pairs(build(answers, prompts=questions)) == {"q7": "a7", "q8": "a8"}


@pytest.mark.parametrize(("share", "searched"), [(0.5, 5), (0.3, 3), (0.9, 9)])
def test_the_search_gets_its_share_and_the_rest_is_held_out(tmp_path, share, searched):
    path = write(tmp_path, "pairs.jsonl", *({"prompt": f"p{n}", "response": "r"} for n in range(10)))
    search, confirm = (set(pairs(build(path, split, search_share=share))) for split in ("search", "confirm"))
    assert (len(search), len(confirm), len(search | confirm)) == (searched, 10 - searched, 10)


def test_all_can_be_held_out(tmp_path):
    path = write(tmp_path, "pairs.jsonl", *({"prompt": f"p{n}", "response": "r"} for n in range(4)))
    assert len(build(path, search_share=0)) == 4
    with pytest.raises(workloads.WorkloadError, match="has no prompts for split search"):
        build(path, "search", search_share=0)


def test_a_source_without_end_needs_a_number():
    with pytest.raises(workloads.WorkloadError, match="source chat has no end; give a whole number"):
        workloads.build("chat", split="search", num_prompts=None)


@pytest.mark.parametrize(
    ("row", "options", "words"),
    [
        ({"prompt": "p"}, {}, "line 1: response is None; it must be a text or a list of token ids"),
        ({"prompt": "", "response": "r"}, {}, "line 1: prompt is ''"),
        ({"prompt": [1.5], "response": "r"}, {}, "line 1: prompt is [1.5]"),
        ({"prompt": "p", "response": "r"}, {"search_share": 2}, "search_share is 2; it must be a number from 0 to 1"),
        ({"question_id": 1, "choices": []}, {}, "line 1: an answer without its prompt; give the file of questions"),
        ({"question_id": 1, "choices": []}, {"prompts": True}, "line 1: choices must be a list of objects with turns"),
        ({"question_id": 2, "choices": []}, {"prompts": True}, "line 1: question_id 2 is not in the file of questions"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, row, options, words):
    if options.get("prompts"):
        options = {"prompts": write(tmp_path, "questions.jsonl", {"question_id": 1, "turns": ["q"]})}
    with pytest.raises(workloads.WorkloadError) as caught:
        build(write(tmp_path, "pairs.jsonl", row), **options)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
