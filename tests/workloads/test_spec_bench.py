"""The loader reads Spec-Bench's own file, where the machine has it beside the repository."""

from pathlib import Path

import pytest

import workloads

FILE = Path(__file__).resolve().parents[3] / "shared" / "data" / "prompts" / "spec_bench.jsonl"


def build(**options):
    if not FILE.exists():
        pytest.skip(f"{FILE} is not on this machine")
    return workloads.build("spec_bench", path=str(FILE), **options)


def test_all_480_questions_are_served_once():
    search = build(split="search", num_prompts=240)
    confirm = build(split="confirm", num_prompts=240)
    assert len({request.prompt for request in search + confirm}) == 480


def test_a_category_is_kept_apart():
    found = build(split="search", num_prompts=40, category="translation")
    assert {request.tags["category"] for request in found} == {"translation"}
    assert found[0].prompt[0].content.startswith("Translate")


def test_an_unknown_category_is_refused_with_the_known_ones():
    with pytest.raises(workloads.WorkloadError, match=r"'poetry'; allowed: .*math_reasoning.*writing"):
        build(split="search", num_prompts=1, category="poetry")


def test_another_file_is_refused(tmp_path):
    (tmp_path / "other.jsonl").write_text('{"prompt": "p"}\n')
    with pytest.raises(workloads.WorkloadError, match="not a Spec-Bench question"):
        workloads.build("spec_bench", split="search", num_prompts=1, path=str(tmp_path / "other.jsonl"))
