"""Histograms over requests, and sums over sets of counters."""

from engine.metrics.histogram import Histogram
from engine.metrics.served import SHAPES, Served
from engine.metrics.totals import Totals
from engine.outputs import RequestMetrics
from engine.stats import SpecDecodingStats, StepTimings


def count(served: Served, reason: str, metrics: RequestMetrics, prompt_tokens: int, tokens: int) -> None:
    times = {"ttft": metrics.ttft, "e2e": metrics.e2e, "tpot": metrics.tpot, "queue": metrics.queue_time}
    served.count(reason, prompt_tokens=prompt_tokens, tokens=tokens, gaps=metrics.gaps, preemptions=0, **times)


def test_a_bound_belongs_to_its_bucket():
    histogram = Histogram((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 2.5, 9.0):
        histogram.observe(value)
    assert histogram.cumulative() == [("1.0", 2), ("2.0", 3), ("+Inf", 5)]
    assert histogram.total == 14.5


def test_bounds_rise():
    for name, shape in SHAPES.items():
        assert list(shape.bounds) == sorted(set(shape.bounds)), name


def test_phases_of_a_request_add_up():
    served = Served()
    metrics = RequestMetrics(10.0, first_scheduled_time=11.0, finished_time=18.0)
    for moment, tokens in ((13.0, 1), (15.0, 3), (18.0, 2)):
        metrics.deliver(moment, tokens)
    count(served, "stop", metrics, 7, 6)
    totals = {name: found.total for name, found in served.histograms.items()}
    assert totals == {
        "time_to_first_token_seconds": 3.0,
        "inter_token_latency_seconds": 5.0,
        "request_time_per_output_token_seconds": 1.0,
        "e2e_request_latency_seconds": 8.0,
        "request_queue_time_seconds": 1.0,
        "request_prefill_time_seconds": 2.0,
        "request_decode_time_seconds": 5.0,
        "request_inference_time_seconds": 7.0,
        "request_prompt_tokens": 7,
        "request_generation_tokens": 6,
        "request_num_preemptions": 0,
    }
    assert sum(served.histograms["inter_token_latency_seconds"].counts) == 2


def test_an_aborted_request_is_in_no_histogram():
    served = Served()
    count(served, "abort", RequestMetrics(0.0, finished_time=1.0), 3, 0)
    assert served.reasons["abort"] == 1
    assert not any(any(found.counts) for found in served.histograms.values())


def test_totals_never_go_back():
    totals, parents = Totals(), [-1, -1, 0]
    for k, accepted in ((3, 2), (1, 1), (4, 0)):
        stats, timing = SpecDecodingStats(k), StepTimings()
        totals.follow(stats, timing)
        stats.observe_draft(k, accepted)
        stats.observe_tree(parents, [0, 2])
        timing.num_output_tokens += 5
    found = totals.spec()
    assert (found.num_drafts, found.num_draft_tokens, found.num_accepted_tokens) == (3, 8, 3)
    assert found.num_draft_tokens_per_pos == [3, 2, 2, 1]
    assert found.num_accepted_tokens_per_pos == [2, 1, 0, 0]
    assert found.tree_tried == [[3, 3], [3]]
    assert totals.counts().generation_tokens == 15
    stats.observe_draft(4, 4)
    assert found.num_drafts == 3, "a copy that stays as it is"
    assert (totals.spec() - found).num_accepted_tokens_per_pos == [1, 1, 1, 1]
