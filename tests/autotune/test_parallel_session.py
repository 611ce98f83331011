"""An engine in two processes in a study's worker: measured, judged and searched as any other."""

from __future__ import annotations

import gc
import time
from pathlib import Path

import psutil

from autotune.samples import BASELINE, CANDIDATE, Arm
from autotune.worker.protocol import Opening
from autotune.worker.session import Session
from workloads import Request

ONE = {"max_num_seqs": 2, "num_threads": 1, "max_model_len": 128, "device": "cpu", "dtype": "float32"}
TWO = ONE | {"tensor_parallel_size": 2}
NGRAM = {"method": "ngram", "num_speculative_tokens": 2, "prompt_lookup_min": 1}


def followers() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if "engine.parallel.follower" in child.cmdline()]


def test_arms_in_one_and_in_two_processes_answer_alike(small_model: Path) -> None:
    before = len(followers())
    prompts = [
        Request(name, (5, 6, 7, *more), 30, {"temperature": 0.0, "ignore_eos": True})
        for name, more in (("a", (5, 6)), ("b", ()))
    ]
    session = Session(Opening("engine:Engine.load", str(small_model), ONE, 2, 0, {"search": prompts}, {}))
    session.prepare([Arm(BASELINE, None, ONE), Arm(CANDIDATE, NGRAM, TWO)], "search")
    assert len(followers()) == before + 1
    found = session.measure("window", "search", [0, 1], 0, [BASELINE, CANDIDATE])
    assert not found.divergences
    assert found.runs[CANDIDATE].counters.drafts > 0
    assert [sample.tokens for sample in found.runs[CANDIDATE].requests] == [30, 30]
    assert session._switch(session._arms[CANDIDATE]).environment()["tensor_parallel_size"] == 2
    del session
    gc.collect()
    until = time.monotonic() + 5.0
    while len(followers()) > before and time.monotonic() < until:
        time.sleep(0.05)
    assert len(followers()) == before
