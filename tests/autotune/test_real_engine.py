"""The whole way on this project's own engine, with a small random Llama: real tokens, real timing, lossless."""

from __future__ import annotations

from pathlib import Path

import pytest

SMALL = ("workload.num_prompts=3", "workload.num_confirm_prompts=3", "workload.max_tokens=24", "tracking=none")


def test_a_study(small_model: Path, commands) -> None:
    done = commands.run(f"model={small_model}", *SMALL, "study.n_trials=2")
    assert done.status == 0, done.err
    assert done.line["lossless"] is True
    assert done.line["trials"]["complete"] >= 1
    assert done.line["environment"]["dtype"] == "float32"
    assert done.line["metrics"]["num_drafts"] > 0
    assert all(trial["lossless"]["compared_tokens"] > 0 for trial in done.trials)


@pytest.mark.parametrize(
    "words",
    [
        ("workload.temperature=0.8", "method.prompt_lookup_min=1"),
        ("load=closed_loop", "load.concurrency=3", "load.confirm_passes=3"),
    ],
    ids=["sampled", "busy"],
)
def test_a_bench_is_lossless(small_model: Path, commands, words: tuple[str, ...]) -> None:
    done = commands.run(f"model={small_model}", *SMALL, *words, module="autotune.bench")
    assert done.status == 0, done.err
    assert done.line["lossless"] is True
    assert done.line["metrics"]["num_draft_tokens"] > 0
