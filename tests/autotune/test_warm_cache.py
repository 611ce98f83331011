"""Methods that draft from earlier responses: every measured run begins with the same memory, and a warm one is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from autotune.errors import UsageError
from autotune.prompts import requests_by_split
from autotune.samples import BASELINE, CANDIDATE, Arm
from autotune.settings import WorkloadSettings
from autotune.worker.protocol import WARM, Opening
from autotune.worker.session import Session
from workloads import Request

OPTIONS = {"max_num_seqs": 2, "num_threads": 1, "max_model_len": 256}
SUFFIX = {"method": "suffix", "num_speculative_tokens": 8, "suffix_decoding_max_spec_factor": 2.0}
SAME = (5, 6, 7, 8)


def request(name: str, *prompt: int) -> Request:
    return Request(name, prompt, 40, {"temperature": 0.0, "ignore_eos": True})


def session_of(model: Path, *warm: Request) -> Session:
    requests = {WARM: list(warm), "search": [request("a", *SAME), request("b", 9, 10, 11)]}
    session = Session(Opening("engine:Engine.load", str(model), OPTIONS, 1, 0, requests, {}))
    session.prepare([Arm(BASELINE, None, OPTIONS), Arm(CANDIDATE, SUFFIX, OPTIONS)], "search")
    return session


def passes(session: Session, index: int) -> int:
    """Target passes of the candidate on one visit."""
    result = session.measure(f"prompt-{index}", "search", [index], 0, [BASELINE, CANDIDATE])
    assert not result.divergences
    return result.runs[CANDIDATE].counters.decode_passes


def test_no_visit_knows_an_earlier_answer(small_model: Path) -> None:
    session = session_of(small_model)
    first = [passes(session, index) for index in (0, 1)]
    assert [passes(session, index) for index in (1, 0, 0)] == [first[1], first[0], first[0]]


def test_a_warm_visit_knows_the_warm_responses_and_nothing_else(small_model: Path) -> None:
    cold, warm = session_of(small_model), session_of(small_model, request("w", *SAME))
    assert passes(warm, 0) <= passes(cold, 0) / 2
    other = passes(warm, 1)
    assert [passes(warm, 0), passes(warm, 1)] == [passes(warm, 0), other]


@pytest.mark.parametrize("source", ["summarization", "code"])
def test_generated_prompts_that_warm_are_of_the_training_split(source: str) -> None:
    workload = WorkloadSettings("w", source, 6, 5, 40, 0, 0.0, {})
    found = requests_by_split(workload, ("search", "confirm"), 4)
    assert {split: len(requests) for split, requests in found.items()} == {WARM: 4, "search": 6, "confirm": 5}
    assert {request.request_id for request in found[WARM]} == {f"w-train-{i}" for i in range(4)}
    assert list(requests_by_split(workload, ("search", "confirm"), 0)) == ["search", "confirm"]


def test_a_file_that_is_too_short_to_warm_with(tmp_path: Path) -> None:
    path = tmp_path / "prompts.jsonl"
    path.write_text("".join(json.dumps({"prompt": f"p{i}"}) + "\n" for i in range(10)))
    workload = WorkloadSettings("mine", "jsonl", 3, 4, 40, 0, 0.0, {"path": str(path)})
    found = requests_by_split(workload, ("search", "confirm"), 2)
    prompts = [request.prompt for requests in found.values() for request in requests]
    assert len(prompts) == len(set(prompts)) == 9
    with pytest.raises(UsageError, match="has 5 prompts for split search, fewer than the 6"):
        requests_by_split(workload, ("search", "confirm"), 3)


def test_the_result_says_that_the_cache_was_warm(commands, small_model: Path) -> None:
    done = commands.run(
        f"model={small_model}", "method=suffix", "method.warm_requests=3", "workload.num_confirm_prompts=3",
        "workload.max_tokens=24", "tracking=none", module="autotune.bench",
    )  # fmt: skip
    assert done.status == 0, done.err
    assert (done.line["warm_requests"], done.line["measurement"], done.line["lossless"]) == (3, "measured", True)
    best = json.loads((done.folder / "best.json").read_text())
    assert best["warm_requests"] == 3
    assert "held the responses to 3 other prompts" in best["details"]["notes"][0]
    assert "held the responses to 3 other prompts" in (done.folder / "report.html").read_text()
    assert "Warm cache: " in done.out


def test_a_method_without_memory_cannot_be_warm(commands, small_model: Path) -> None:
    done = commands.run(f"model={small_model}", "method=ngram", "+method.warm_requests=3", "workload.num_prompts=3",
                        "workload.num_confirm_prompts=3", "workload.max_tokens=24", "tracking=none")  # fmt: skip
    assert done.status == 2
    assert done.err.startswith("error: method ngram remembers nothing of earlier requests")
    assert done.err.count("\n") == 1
