"""Prompt files: what is read, and one clear line for everything that cannot be."""

import json

import pytest

import workloads
from workloads.request import Message


def write(tmp_path, *lines):
    path = tmp_path / "prompts.jsonl"
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines), encoding="utf-8")
    return str(path)


def build(path, split="search", number=1, **options):
    return workloads.build("jsonl", split=split, num_prompts=number, path=path, **options)


def test_prompt_messages_and_turns_are_read(tmp_path):
    messages = [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "u"},
        {"role": "assistant", "content": "a"},
    ]
    path = write(
        tmp_path, {"prompt": "p"}, {"messages": messages}, "", {"turns": ["t\u2028t", "later"], "reference": ["r"]}
    )
    found = build(path, number=2) + build(path, "confirm")
    prompts = {request.prompt: request.reference for request in found}
    assert prompts == {
        (Message("user", "p"),): None,
        (Message("system", "s"), Message("user", "u")): None,
        (Message("user", "t\u2028t"),): "r",
    }


def test_a_prompt_can_stay_bare_text(tmp_path):
    assert build(write(tmp_path, {"prompt": "p"}), chat=False)[0].prompt == "p"


def test_halves_are_disjoint_even_with_repeated_rows(tmp_path):
    path = write(tmp_path, *[{"prompt": f"p{index % 10}"} for index in range(30)])
    halves = [{request.prompt for request in build(path, split, 5)} for split in ("search", "confirm")]
    assert len(halves[0] | halves[1]) == 10


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([{"prompt": "p"}, '{"prompt": '], ["prompts.jsonl, line 2", "not valid JSON"]),
        (["[1]"], ["line 1", "list", "object"]),
        ([""], ["is empty"]),
        ([{"text": "p"}], ["line 1", "prompt, messages, turns"]),
        ([{"prompt": ""}], ["line 1", "not empty"]),
        ([{"turns": [3]}], ["line 1", "no usable prompt"]),
        ([{"messages": ["hello"]}], ["line 1", "role and content"]),
        ([{"messages": [{"role": "assistant", "content": "a"}]}], ["line 1", "no turn of the user"]),
    ],
)
def test_bad_lines_are_named(tmp_path, lines, words):
    with pytest.raises(workloads.WorkloadError) as caught:
        build(write(tmp_path, *lines))
    assert all(word in str(caught.value) for word in words)


def test_missing_binary_and_unnamed_files_are_refused(tmp_path):
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for path, word in ((str(tmp_path / "none"), "does not exist"), (str(tmp_path / "binary"), "UTF-8"), (None, "path")):
        with pytest.raises(workloads.WorkloadError, match=word):
            build(path)
    with pytest.raises(workloads.WorkloadError, match="does not exist"):
        build(str(tmp_path))


def test_too_few_prompts_and_other_splits_are_refused(tmp_path):
    path = write(tmp_path, {"prompt": "p"})
    with pytest.raises(workloads.WorkloadError, match="has 1 prompts"):
        build(path, number=2)
    with pytest.raises(workloads.WorkloadError, match="allowed: search, confirm"):
        build(path, "train")
