"""prometheus.txt: the run's counters, arm by arm, as Prometheus would read them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from test_conf import settings_for

from autotune.final_counters import FinalCounters
from autotune.leave import drafting
from autotune.samples import ArmRun, Counters, RequestSample, UnitResult
from engine.metrics.totals import Drafting


def samples(text: str) -> dict[tuple[str, ...], float]:
    """By name, arm, and what other labels say."""
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            others = [sample.labels[key] for key in sorted(sample.labels.keys() - {"engine", "model_name"})]
            found[sample.name, sample.labels["engine"], *others] = sample.value
    return found


def lines(path: Any) -> list[dict[str, Any]]:
    return [json.loads(text) for text in path.read_text().splitlines()]


def test_a_study_leaves_the_counters_of_every_arm(commands) -> None:
    done = commands.tune("study.n_trials=3")
    assert done.status == 0, done.err
    found = samples((done.folder / "prometheus.txt").read_text())
    results = [result for path in (done.folder / "samples").iterdir() for result in lines(path)]
    arms = {name for result in results for name in result["runs"]}
    assert arms >= {"baseline", "candidate", "winner"}
    for arm in arms:
        runs = [result["runs"][arm] for result in results if arm in result["runs"]]
        requests = [request for run in runs for request in run["requests"]]
        counters = [run["counters"] for run in runs]
        spec = "vllm:spec_decode_num_"
        assert found[spec + "drafts_total", arm] == sum(counts["drafts"] for counts in counters)
        assert found[spec + "draft_tokens_total", arm] == sum(counts["draft_tokens"] for counts in counters)
        assert found[spec + "accepted_tokens_total", arm] == sum(counts["accepted_tokens"] for counts in counters)
        assert found["vllm:generation_tokens_total", arm] == sum(request["tokens"] for request in requests)
        assert found["vllm:request_success_total", arm, "length"] == len(requests)
        assert found["vllm:e2e_request_latency_seconds_count", arm] == len(requests)
        for name, key in (("time_to_first_token", "ttft"), ("request_queue_time", "queue")):
            times = [request[key] for request in requests if request[key] is not None]
            assert found[f"vllm:{name}_seconds_sum", arm] == pytest.approx(sum(times))
            assert found[f"vllm:{name}_seconds_count", arm] == len(times) > 0
    assert found["spectune:spec_decode_config_info", "winner", "ngram", "target"] == 1
    assert found["spectune:spec_decode_config_info", "baseline", "none", "target"] == 1
    assert found["vllm:spec_decode_num_drafts_total", "winner"] == done.line["metrics"]["num_drafts"] > 0


def test_requests_say_how_many_of_each_draft_were_accepted(commands) -> None:
    done = commands.bench()
    assert done.status == 0, done.err
    runs = [result["runs"]["candidate"] for result in lines(done.folder / "samples" / "trial-000.jsonl")]
    for request in (request for run in runs for request in run["requests"]):
        counts = request["acceptance_histogram"]
        assert sum(counts) == request["drafts"] > 0
        assert sum(accepted * count for accepted, count in enumerate(counts)) == request["accepted_tokens"]


def test_the_law_of_the_output_is_named() -> None:
    words = ("method.rejection_sample_method=synthetic", "method.synthetic_acceptance_length=2")
    searched = "+search.method.rejection_sample_method={categorical: [standard, typical]}"
    assert drafting(settings_for(*words)) == ("ngram", "synthetic")
    assert drafting(settings_for()) == ("ngram", "target")
    assert drafting(settings_for(searched)) == ("ngram", "searched")
    assert drafting(settings_for("method=none")) == ("none", "target")


def test_drafts_of_different_depth_are_counted_where_they_had_a_token() -> None:
    counters = FinalCounters()
    for accepted, drafted in (((2, 1), (3, 2)), ((1,), (1,))):
        request = RequestSample("r", 4, 8, None, None, None, sum(drafted), sum(drafted), sum(accepted))
        run = ArmRun("a", None, (request,), Counters(drafted[0], sum(drafted), sum(accepted), accepted, drafted))
        counters.add([UnitResult("u", 0, ("a",), {"a": run})])
    found = samples(counters.text("m", Drafting("suffix")))
    assert [found["spectune:spec_decode_num_draft_tokens_per_pos_total", "a", place] for place in "01"] == [4, 2]
    assert [found["vllm:spec_decode_num_accepted_tokens_per_pos_total", "a", place] for place in "01"] == [3, 1]
    assert found["vllm:time_to_first_token_seconds_count", "a"] == 0, "a replay has no times"
