"""How many tokens the cache holds, and what each takes, among a trial's metrics and in the report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from autotune.metrics import METRICS, summary
from autotune.report.versus import versus
from autotune.samples import ArmRun, Counters
from autotune.worker.session import with_cache

MODEL = Path(__file__).resolve().parents[2] / "models" / "tiny"
RUN = ArmRun("baseline", 1.0, (), Counters())


def test_it_is_the_engine_s_own(tmp_path):
    from engine import Engine

    options = {"max_num_seqs": 2, "max_model_len": 64, "num_threads": 1}
    whole, shared = Engine.load(MODEL, **options), Engine.load(MODEL, **options, kv_cache_tokens=80)
    found = summary([with_cache(RUN, shared.environment())])
    assert found["kv_capacity_tokens"] == 80
    assert found["kv_kib_per_token"] == shared.environment()["kv_cache_bytes"] / 80 / 1024
    assert summary([with_cache(RUN, whole.environment())])["kv_capacity_tokens"] == 2 * 64


def test_of_several_runs_the_least_counts():
    runs = [replace(RUN, kv_tokens=100, kv_bytes=409_600), replace(RUN, kv_tokens=200, kv_bytes=1_638_400), RUN]
    assert (summary(runs)["kv_capacity_tokens"], summary(runs)["kv_kib_per_token"]) == (100, 8.0)


def test_an_engine_that_does_not_tell_has_none():
    found = summary([with_cache(RUN, {"device": "cpu"})])
    assert (found["kv_capacity_tokens"], found["kv_kib_per_token"]) == (None, None)


def test_more_tokens_and_fewer_bytes_are_better():
    better = {metric.name: (metric.unit, metric.better) for metric in METRICS}
    assert better["kv_capacity_tokens"] == ("tokens", "higher")
    assert better["kv_kib_per_token"] == ("KiB", "lower")


def test_the_report_shows_both_beside_the_memory():
    before = {"peak_memory_gib": 2.0, "kv_capacity_tokens": 4096, "kv_kib_per_token": 12.0}
    after = {"peak_memory_gib": 2.0, "kv_capacity_tokens": 2048, "kv_kib_per_token": 6.0}
    rows = {row.label: row for row in versus(SimpleNamespace(best={"all_baseline": before, "all_metrics": after}))}
    assert list(rows) == ["Peak memory (GiB)", "Tokens that the KV cache holds", "KV cache per token (KiB)"]
    capacity, per_token = rows["Tokens that the KV cache holds"], rows["KV cache per token (KiB)"]
    assert (capacity.candidate, capacity.change, capacity.verdict) == ("2048", "−50 %", "worse")
    assert (per_token.candidate, per_token.verdict) == ("6.00", "better")


@pytest.mark.parametrize("change", [{"kv_tokens": 0}, {"kv_bytes": None}])
def test_what_is_not_known_is_not_divided(change):
    run = replace(RUN, **{"kv_tokens": 8, "kv_bytes": 64} | change)
    assert summary([run])["kv_kib_per_token"] is None
