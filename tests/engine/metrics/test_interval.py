"""The log line: of the interval alone, silent without drafts."""

import logging

import pytest

from engine import ConfigError, Engine, SamplingParams
from engine.metrics.interval import IntervalLogger
from engine.metrics.totals import Totals
from engine.stats import SpecDecodingStats, StepTimings


@pytest.fixture
def counting():
    totals, stats = Totals(), SpecDecodingStats(2)
    totals.follow(stats, StepTimings())
    return totals, stats


def test_a_line_is_of_its_interval(counting, caplog):
    totals, stats = counting
    log = IntervalLogger(10.0, totals.spec, now=100.0)
    with caplog.at_level(logging.INFO, "engine"):
        stats.observe_draft(2, 2)
        log.tick(105.0, 3, 1, "target")
        assert caplog.messages == []
        log.tick(110.0, 3, 1, "target")
        stats.observe_draft(2, 1)
        stats.observe_draft(1, 0)
        log.tick(130.0, 2, 0, "target")
    assert caplog.messages == [
        "SpecDecoding metrics: Mean acceptance length: 3.00, Accepted throughput: 0.20 tokens/s, Drafted throughput: "
        "0.20 tokens/s, Accepted: 2 tokens, Drafted: 2 tokens, Per-position acceptance rate: 1.000, 1.000, "
        "Avg Draft acceptance rate: 100.0%, Running: 3 reqs, Waiting: 1 reqs",
        "SpecDecoding metrics: Mean acceptance length: 1.50, Accepted throughput: 0.05 tokens/s, Drafted throughput: "
        "0.15 tokens/s, Accepted: 1 tokens, Drafted: 3 tokens, Per-position acceptance rate: 0.500, 0.000, "
        "Avg Draft acceptance rate: 33.3%, Running: 2 reqs, Waiting: 0 reqs",
    ]


def test_positions_end_where_the_interval_s_deepest_draft_did(counting, caplog):
    totals, stats = counting
    stats.observe_draft(9, 9)
    log = IntervalLogger(1.0, totals.spec, now=0.0)
    stats.observe_draft(3, 1)
    with caplog.at_level(logging.INFO, "engine"):
        log.tick(1.0, 1, 0, "target")
    assert "Per-position acceptance rate: 1.000, 0.000, 0.000, Avg" in caplog.messages[0]


def test_nothing_is_said_of_an_interval_without_drafts(counting, caplog):
    totals, stats = counting
    log = IntervalLogger(1.0, totals.spec, now=0.0)
    with caplog.at_level(logging.INFO, "engine"):
        stats.observe_draft(2, 2)
        log.tick(1.0, 1, 0, "target")
        log.tick(2.0, 1, 0, "target")
        log.tick(3.0, 1, 0, "target")
    assert len(caplog.messages) == 1


def test_acceptance_that_is_not_the_target_s_is_marked(counting, caplog):
    totals, stats = counting
    log = IntervalLogger(1.0, totals.spec, now=0.0)
    with caplog.at_level(logging.INFO, "engine"):
        stats.observe_draft(2, 2)
        log.tick(1.0, 1, 0, "synthetic")
    assert caplog.messages[0].endswith("Waiting: 0 reqs, Acceptance: synthetic")


def test_lines_of_an_engine_add_up_to_its_counters(random_model, caplog):
    engine = Engine.load(random_model, max_num_seqs=2, dtype="float32", num_threads=1, log_stats_interval=1e-9)
    engine.configure_speculation({"method": "ngram", "num_speculative_tokens": 3, "prompt_lookup_min": 1})
    with caplog.at_level(logging.INFO, "engine"):
        engine.generate([[1, *([5, 6, 7] * 4)]] * 2, SamplingParams(max_tokens=12, temperature=0.0, ignore_eos=True))
    accepted = [int(message.split("Accepted: ")[1].split()[0]) for message in caplog.messages]
    drafted = [int(message.split("Drafted: ")[1].split()[0]) for message in caplog.messages]
    assert (sum(accepted), sum(drafted)) == (engine.stats.num_accepted_tokens, engine.stats.num_draft_tokens)
    assert sum(drafted) > 0


@pytest.mark.parametrize("interval", [0, -1.0, True, "10"])
def test_a_wrong_interval_is_refused_before_anything_is_loaded(tmp_path, interval):
    with pytest.raises(ConfigError, match="log_stats_interval"):
        Engine.load(tmp_path / "nothing", log_stats_interval=interval)
