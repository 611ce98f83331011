"""Objectives on whole answers and on percentiles of windows, and the presets that use them."""

from __future__ import annotations

import pytest

from autotune.errors import UsageError
from autotune.load import check_load
from autotune.measurement import MEASURED, measurement
from autotune.metrics import OBJECTIVES
from autotune.samples import ArmRun, Counters, RequestSample
from tests.autotune.conftest import Commands
from tests.autotune.test_conf import settings_for

PRESETS = ("low_latency", "high_throughput", "balanced")


def run_of(times: list[float]) -> ArmRun:
    requests = [RequestSample(str(i), 5, 10, time / 2, time, time / 20, 0, 0, 0) for i, time in enumerate(times)]
    return ArmRun("candidate", sum(times), tuple(requests), Counters())


@pytest.mark.parametrize(
    ("name", "value"),
    [("ttft", 1.25), ("e2e", 2.5), ("e2e_p50", 2.5), ("ttft_p50", 1.25), ("e2e_p90", 3.7), ("tpot_p50", 0.125)],
)
def test_values_of_a_window(name: str, value: float) -> None:
    assert OBJECTIVES[name].value([run_of([1.0, 2.0, 3.0, 4.0])]) == pytest.approx(value)
    assert OBJECTIVES[name].value([run_of([])]) is None


def test_a_percentile_needs_a_window() -> None:
    with pytest.raises(UsageError, match="e2e_p95"):
        check_load(settings_for("load=single", "objective=e2e", "objective.metric=e2e_p95"))
    check_load(settings_for("load=closed_loop", "objective=e2e", "objective.metric=e2e_p95"))


def test_a_wait_is_named() -> None:
    assert measurement("measured", "tpot", "target") is MEASURED
    assert measurement("measured", "output_tokens_per_s", "target") is MEASURED
    assert measurement("measured", "ttft_p95", "target").quantity == "speed-up of the time to first token (p95)"
    assert "in time to last token" in measurement("measured", "e2e", "target").unit


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_runs(preset: str, commands: Commands) -> None:
    done = commands.tune(f"experiment={preset}", "study.n_trials=2", "load.passes=2", "load.confirm_passes=5")
    assert done.status == 0, done.err
    assert done.line["speedup"] > 1.02


def test_a_percentile_is_tuned_on(commands: Commands) -> None:
    done = commands.tune("load=closed_loop", "objective.metric=ttft_p95", "study.n_trials=2", "load.passes=3")
    assert done.status == 0, done.err
    assert "time to first token (p95)" in done.out
