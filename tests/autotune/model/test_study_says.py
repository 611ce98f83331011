"""What a study shows of the model: what was predicted is said to be, and never counted as measured."""

from __future__ import annotations

import json

ONLY_TOKENS = ("method.search.prompt_lookup_min=null", "method.search.prompt_lookup_max=null", "study.n_trials=10")


def test_predicted_points_are_shown_and_are_no_measurements(commands) -> None:
    done = commands.tune(*ONLY_TOKENS)
    assert done.status == 0, done.err
    assert done.line["parameters"]["num_speculative_tokens"] == 4
    left_out = [trial for trial in done.trials if trial["status"] == "predicted"]
    assert len(left_out) == done.line["trials"]["predicted"] > 0
    assert all(trial["speedup"] is None and not trial["log_gains"] for trial in left_out)
    assert "predicted: expected " in done.out
    told = json.loads((done.folder / "best.json").read_text())["details"]["model"]
    assert len(told["left_out"]) == len(left_out)
    assert {pair["trial"] for pair in told["predictions"]} <= {t["number"] for t in done.trials if t["speedup"]}
    assert told["predictions"]
    assert 0 <= told["coverage"] <= 1
    assert told["steps"]["ngram"]["rest"]["1"][0][0] == 1


def test_without_the_model_every_point_is_measured(commands) -> None:
    done = commands.tune(*ONLY_TOKENS, "study.model=false")
    assert done.status == 0, done.err
    assert done.line["trials"]["predicted"] == 0
    told = json.loads((done.folder / "best.json").read_text())["details"]["model"]
    assert (told["on"], told["predictions"], told["steps"]) == (False, [], {})
