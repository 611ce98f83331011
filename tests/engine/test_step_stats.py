"""Steps by batch size: counted by the engine, subtracted over a window, and bounded in memory."""

import statistics
import time

import pytest

from engine import Engine, SamplingParams
from engine.step_stats import StepsByBatch

NGRAM = {"method": "ngram", "num_speculative_tokens": 4, "prompt_lookup_min": 1, "prompt_lookup_max": 3}


def test_median_mean_and_differences():
    stats = StepsByBatch()
    times = [0.001 * (1 + i / 100) for i in range(101)]
    for seconds in times:
        stats.count(2, False, seconds, tokens=3, drafted=8, accepted=1)
    stats.count(2, True, 5.0, tokens=2, drafted=0, accepted=0)
    found = stats.by_batch[2]
    assert (found.steps, found.prompt_steps, found.tokens, found.drafted, found.accepted) == (102, 1, 305, 808, 101)
    assert found.mean == pytest.approx(statistics.mean(times))
    assert found.median == pytest.approx(statistics.median(times), rel=0.011)
    before = stats.copy()
    stats.count(2, False, 0.5, 1, 0, 0)
    stats.count(0, True, 0.5, 0, 0, 0)
    since = stats.since(before)
    assert (since[2].steps, since[2].tokens, since[2].drafted) == (1, 1, 0)
    assert since[2].median == pytest.approx(0.5, rel=0.011)
    assert (since[0].steps, since[0].mean, since[0].median) == (1, None, None)


def test_what_is_kept_does_not_grow_with_the_steps():
    stats = StepsByBatch()
    for i in range(20_000):
        stats.count(1, False, 1e-3 * (1 + (i % 997) / 997), 1, 0, 0)
    assert len(stats.by_batch[1].bins) <= 36


def test_the_engine_counts_what_it_did(random_model):
    """Three requests, one longer than the others: steps of three, then of one; the totals are the engine's own."""
    engine = Engine.load(random_model, NGRAM, max_num_seqs=3, dtype="float32", num_threads=1)
    lengths = (8, 8, 30)
    params = [SamplingParams(max_tokens=n, temperature=0.0, ignore_eos=True) for n in lengths]
    engine.generate([[1, *([5, 6, 7, 8] * 5)]] * 3, params)
    found = engine.steps_by_batch.by_batch
    assert {0, 1, 3} <= set(found)
    assert found[0].steps == found[0].prompt_steps == 1
    assert found[3].prompt_steps == 0
    assert found[1].median > 0
    assert sum(steps.steps for steps in found.values()) == engine.timing.num_steps
    assert sum(batch * steps.steps for batch, steps in found.items()) == engine.timing.num_decode_passes
    assert sum(steps.drafted for steps in found.values()) == engine.stats.num_draft_tokens > 0
    assert sum(steps.accepted for steps in found.values()) == engine.stats.num_accepted_tokens > 0
    assert sum(steps.tokens for steps in found.values()) >= engine.timing.num_decode_tokens
    engine.reset()
    assert engine.steps_by_batch.by_batch == {}


def test_a_request_that_came_earlier_has_waited(random_model):
    engine = Engine.load(random_model, max_num_seqs=1, dtype="float32", num_threads=1)
    came = time.perf_counter() - 5.0
    engine.add_request("a", [1, 5, 6], SamplingParams(max_tokens=2), arrival_time=came)
    [output] = [output for _ in range(2) for output in engine.step()]
    metrics = output.metrics
    assert metrics.arrival_time == came
    assert 5.0 <= metrics.first_scheduled_time - came <= metrics.ttft <= metrics.e2e
