"""Requests that come at times of their own: when they are added, what their waiting counts from, and how it is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from autotune.metrics import OBJECTIVES, compared_goodput, summary
from autotune.plan import steps
from autotune.samples import ArmRun, Counters, RequestSample
from autotune.slo import Slo
from autotune.worker.open_loop import serve_open
from autotune.worker.prompts import Prompt
from engine.outputs import RequestMetrics, RequestOutput
from engine.sampling_params import SamplingParams
from engine.step_stats import StepsByBatch
from tests.autotune.test_conf import settings_for

PARAMS = SamplingParams(max_tokens=1)
LIMITS = ("load.slo.ttft_ms=4000", "load.slo.tpot_ms=500")


class Machine:
    """An engine that answers a request in one step of a second, one at a time, on a clock of its own."""

    def __init__(self) -> None:
        self.time, self.naps = 0.0, []
        self.queue: list[RequestMetrics] = []
        self.num_running = 0

    @property
    def num_waiting(self) -> int:
        return len(self.queue)

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        assert not self.queue, "asleep while there is work"
        self.naps.append(seconds)
        self.time += seconds

    def add_request(self, request_id: str, token_ids: list[int], params: SamplingParams, arrival_time: float) -> None:
        assert arrival_time <= self.time, "added before it was due"
        self.queue.append((request_id, RequestMetrics(arrival_time)))

    def step(self) -> list[RequestOutput]:
        assert self.queue, "a step without work"
        request_id, metrics = self.queue.pop(0)
        metrics.first_scheduled_time = self.time
        self.time += 1.0
        metrics.deliver(self.time, 1)
        metrics.finished_time = self.time
        return [RequestOutput(request_id, [], [1], "", "stop", None, None, metrics)]


def test_waiting_counts_from_when_a_request_was_due() -> None:
    """The second is due in the middle of the first one's step, the third while nothing runs."""
    machine = Machine()
    machine.time = 100.0
    prompts = [Prompt(name, [], PARAMS) for name in "abc"]
    outputs, wall, began = serve_open(machine, prompts, (0.5, 0.75, 9.0), machine.now, machine.sleep)
    assert (wall, began) == (10.0, 100.0)
    assert [output.request_id for output in outputs] == ["a", "b", "c"]
    assert [output.metrics.arrival_time for output in outputs] == [100.5, 100.75, 109.0]
    assert [output.metrics.ttft for output in outputs] == [1.0, 1.75, 1.0]
    assert [o.metrics.first_scheduled_time - o.metrics.arrival_time for o in outputs] == [0.0, 0.75, 0.0]
    assert machine.naps == [0.5, 6.5], "one nap until the next arrival, and no polling"


def test_windows_have_arrivals_of_their_own_and_the_confirmation_others() -> None:
    load = settings_for("load=poisson").load
    plan = steps(load, 8, 3, ("baseline", "candidate"))
    assert plan == steps(load, 8, 3, ("candidate", "baseline")[::-1])
    later = steps(load, 8, 3, ("baseline", "candidate"), first_window=3)
    assert len({step.arrivals for step in [*plan, *later]}) == 6
    assert all(len(step.arrivals) == 8 and step.indices == tuple(range(8)) for step in plan)
    assert all(step.arrivals == () for step in steps(settings_for("load=closed_loop").load, 8, 3, ("a", "b")))


def run_of(*e2e: float, slo: Slo, wall: float = 2.0) -> ArmRun:
    requests = tuple(
        RequestSample(str(i), 3, 5, each / 2, each, each / 8, 0, 0, 0, arrival=0.1 * (i + 1), queue=0.01)
        for i, each in enumerate(e2e)
    )
    return ArmRun("candidate", wall, requests, Counters(), slo=slo)


def test_goodput_counts_requests_that_keep_every_limit() -> None:
    slo = Slo(ttft_ms=500.0, e2e_ms=800.0)
    runs = [run_of(0.2, 0.8, 0.9, 1.5, slo=slo), run_of(0.7, slo=slo, wall=1.0)]
    found = summary(runs)
    assert found["goodput"] == pytest.approx(3 / 3.0)
    assert found["slo_share"] == pytest.approx(3 / 5)
    assert found["requests_per_s"] == pytest.approx(5 / 3.0)
    assert found["offered_requests_per_s"] == pytest.approx(5 / 0.5)
    assert found["queue_ms"]["count"] == 5
    assert found["queue_ms"]["p95"] == pytest.approx(10.0)
    assert compared_goodput(runs) == pytest.approx(3.5 / 3)


def test_without_limits_there_is_no_goodput_and_in_a_closed_loop_no_offered_rate() -> None:
    found = summary([ArmRun("a", 1.0, (RequestSample("r", 1, 2, 0.1, 0.2, 0.1, 0, 0, 0),), Counters())])
    assert found["goodput"] is found["slo_share"] is found["offered_requests_per_s"] is None
    assert "steps_by_batch" not in found


def test_a_window_without_a_good_request_still_compares() -> None:
    slo = Slo(tpot_ms=100.0)
    value = OBJECTIVES["goodput"].value
    none, some = value([run_of(2.0, 2.0, slo=slo)]), value([run_of(0.2, 0.2, slo=slo)])
    assert some / none == pytest.approx(2.5 / 0.5)


def test_an_answer_of_one_token_has_no_time_per_token_to_exceed() -> None:
    assert Slo(tpot_ms=1.0).met_by(RequestSample("r", 1, 1, 0.5, 0.5, None, 0, 0, 0))
    assert not Slo(ttft_ms=499.0).met_by(RequestSample("r", 1, 1, 0.5, 0.5, None, 0, 0, 0))


def test_steps_of_several_windows_are_put_together() -> None:
    def run(batch: int, seconds: float) -> ArmRun:
        stats = StepsByBatch()
        stats.count(batch, False, seconds, tokens=6, drafted=8, accepted=4)
        return ArmRun("a", 1.0, (), Counters(), steps_by_batch=stats.by_batch)

    found = summary([run(2, 0.010), run(2, 0.010), run(4, 0.020)])["steps_by_batch"]
    assert list(found) == ["2", "4"]
    assert (found["2"]["steps"], found["2"]["tokens_per_step"], found["2"]["draft_tokens"]) == (2, 6.0, 16)
    assert found["2"]["mean_ms"] == pytest.approx(10.0)
    assert found["4"]["median_ms"] == pytest.approx(20.0, rel=0.011)


def trace_of(folder: Path) -> Path:
    file = folder / "trace.csv"
    file.write_text("id,timestamp\n" + "".join(f"r{i},{50 + 0.02 * i}\n" for i in range(20)))
    return file


LOADS = {
    "poisson": ("load.rate=60", "load.burstiness=0.5"),
    "ramp": ("load.rate_start=20", "load.rate_end=100"),
    "steps": ("load.rates=[20,100]",),
    "trace": ("load.speed=1.2",),
}


@pytest.mark.parametrize("kind", LOADS)
def test_every_open_load_runs(commands, tmp_path: Path, kind: str) -> None:
    """Eight requests at 60 a second in every window, the same for both arms, and what the engine did at each size."""
    trace = [f"load.path={trace_of(tmp_path)}"] if kind == "trace" else []
    done = commands.bench(f"load={kind}", "load.confirm_passes=2", *LOADS[kind], *LIMITS, *trace)
    assert done.status == 0, done.err
    best = json.loads((done.folder / "best.json").read_text())
    for side in ("all_metrics", "all_baseline"):
        assert best[side]["offered_requests_per_s"] == pytest.approx(60.0, rel=1e-3)
        assert 20 < best[side]["requests_per_s"] < 60
        assert best[side]["slo_share"] == 1.0
        assert best[side]["queue_ms"]["count"] == 16
        batches = best[side]["steps_by_batch"]
        assert sum(each["steps"] for each in batches.values()) > 0
        assert len(batches) >= 2
    assert best["details"]["load"]["kind"] == kind
    assert best["details"]["load"]["slo"] == {"ttft_ms": 4000.0, "tpot_ms": 500.0}
    samples = [json.loads(line) for line in (done.folder / "samples" / "trial-000.jsonl").read_text().splitlines()]
    times = [[[r["arrival"] for r in run["requests"]] for run in window["runs"].values()] for window in samples]
    assert all(base == pytest.approx(other, abs=1e-6) for base, other in times)
    if kind != "trace":
        assert times[0][0] != pytest.approx(times[1][0])
    assert "Steps by batch size" in (done.folder / "report.html").read_text()


def test_a_study_on_goodput(commands) -> None:
    """At 90 requests of 40 tokens a second the engine of the tests keeps 40 ms to the end only with drafts."""
    done = commands.tune("load=poisson", "load.rate=90", "load.slo.e2e_ms=40", "objective=goodput", "load.passes=2",
                         "load.confirm_passes=3", "study.n_trials=2", "method.search.prompt_lookup_min=null",
                         "method.search.prompt_lookup_max=null")  # fmt: skip
    assert done.status == 0, done.err
    assert done.line["metrics"]["goodput"] > 2 * done.line["baseline"]["goodput"]
    assert done.line["speedup"] > 2
    assert "goodput" in done.out
    assert "times the goodput" in done.out
    assert "times as fast" not in done.out
    assert "No request kept the limits without speculation. The factor counts half a request more" in done.out
    page = (done.folder / "report.html").read_text()
    assert "times the goodput" in page
    assert "e2e 40 ms" in page


def test_an_open_loop_on_the_real_engine_is_lossless(small_model: Path, commands) -> None:
    """More requests come than three at once can serve, which is said."""
    small = ("workload.num_confirm_prompts=6", "workload.max_tokens=24", "tracking=none", "engine.max_num_seqs=3")
    words = ("load=poisson", "load.rate=2000", "load.confirm_passes=2", *LIMITS)
    done = commands.run(f"model={small_model}", *small, *words, module="autotune.bench")
    assert done.status == 0, done.err
    assert done.line["lossless"] is True
    assert "More requests come than can be served" in done.out
    found = json.loads((done.folder / "best.json").read_text())["all_metrics"]
    assert found["backlog"] >= 0.4
    assert found["num_draft_tokens"] == sum(each["draft_tokens"] for each in found["steps_by_batch"].values()) > 0
    assert max(map(int, found["steps_by_batch"])) == 3


def test_the_backlog_is_what_was_not_begun_when_the_last_request_came() -> None:
    def request(arrival: float, queue: float) -> RequestSample:
        return RequestSample("r", 1, 2, 0.1, 0.2, 0.1, 0, 0, 0, arrival=arrival, queue=queue)

    behind = (request(0.0, 0.5), request(1.0, 2.5), request(2.0, 1.5), request(3.0, 9.0))
    run = ArmRun("a", 8.0, behind, Counters(target_s=1.5, other_s=0.5))
    found = summary([run, ArmRun("a", 2.0, (request(0.0, 0.0), request(1.0, 0.0)), Counters(draft_s=1.0))])
    assert found["backlog"] == pytest.approx(2 / 4)
    assert found["busy_share"] == pytest.approx(0.3)
