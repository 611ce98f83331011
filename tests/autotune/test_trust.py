"""What is not believed is measured again and counts nowhere; a changed machine is told from a disturbed one."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from autotune.runner import Outcome
from autotune.samples import BASELINE, CANDIDATE, ArmRun, Counters, RequestSample, UnitResult
from autotune.settings import StudySettings
from autotune.status import Cause, Status
from autotune.trial import Trial
from autotune.trust.account import notes_of_measurement, notes_of_watch, of_measurement
from autotune.trust.device import watch_of
from autotune.trust.doubt import Doubt
from autotune.trust.drift import Visit, drift, times, unsteady, visits
from autotune.trust.fairness import sign_chance, stolen_share, unfair
from autotune.trust.gpu import GpuWatch, Reading, nvml_name
from autotune.trust.guard import Guard, NoWatch, doubt_of
from autotune.worker.processor import since, waited_for_core

STUDY = StudySettings(None, None, "auto", 12, 3, 0, 0.05, 5, 0.95, 500, 60.0, 60.0, 3)
RNG = np.random.default_rng(1)


def machine(levels: Sequence[float], noise: float = 0.02) -> list[Visit]:
    """A visit a level; prompts take different times."""
    return [
        Visit(f"prompt-{i % 16}", (1 + (i % 16) / 40) * float(np.exp(level + RNG.normal(0, noise))))
        for i, level in enumerate(levels)
    ]


def kept(measured: Sequence[Visit]) -> dict[str, list[float]]:
    return {visit.unit: [visit.seconds] for visit in measured}


STEADY = [kept(machine([0.0] * 16)) for _ in range(3)]


@pytest.mark.parametrize(
    ("levels", "earlier", "says"),
    [
        ([0.0] * 16, STEADY, ""),
        ([0.1] * 16, STEADY, ""),
        ([0.5] * 16, STEADY, "against earlier trials"),
        ([-0.5] * 16, STEADY, "against earlier trials"),
        ([0.0] * 8 + [0.6] * 8, STEADY, "within the trial"),
        ([0.0] * 5 + [0.6] * 6 + [0.0] * 5, STEADY, "within the trial"),
        ([0.0] * 8 + [0.6] * 8, [], "within the trial"),
        ([0.0] * 6 + [0.9] + [0.0] * 9, STEADY, ""),
        ([0.5] * 16, [*STEADY, kept(machine([0.5] * 16))], ""),
        ([0.0] * 4 + [0.6] * 2, [], ""),
    ],
    ids=["steady", "a little", "slower", "faster", "a step", "a hump", "no study",
         "one stall", "the new level", "few"],
)  # fmt: skip
def test_drift(levels: list[float], earlier: list[dict[str, list[float]]], says: str) -> None:
    doubt = drift(machine(levels), earlier, 0.3)
    assert says in (doubt.reason if doubt else "")
    assert bool(says) == (doubt is not None)
    assert drift(machine(levels), earlier, None) is None


def test_noise_alone_is_rarely_called_drift() -> None:
    """A machine with 15 % noise and no drift, over 400 trials."""
    found = [drift(machine([0.0] * 16, 0.15), STEADY, 0.3) for _ in range(400)]
    assert sum(doubt is not None for doubt in found) <= 8


def result(unit: int, stolen: tuple[float | None, float | None], tpot: float | None = 0.01) -> UnitResult:
    request = RequestSample("r", 5, 9, 0.1, 1.0, tpot, 0, 0, 0)
    base, other = (
        ArmRun(name, 1.0, (request,), Counters(), stolen=each)
        for name, each in zip((BASELINE, CANDIDATE), stolen, strict=True)
    )
    return UnitResult(f"prompt-{unit}", 0, (BASELINE, CANDIDATE), {BASELINE: base, CANDIDATE: other})


def test_only_a_bias_is_unfair() -> None:
    by_chance = [result(i, (0.3 * (i % 2), 0.3 * ((i + 1) % 2))) for i in range(16)]
    assert unfair(by_chance) is None
    assert unfair([result(i, (0.4, 0.4)) for i in range(16)]) is None
    doubt = unfair([result(i, (0.1, 0.4)) for i in range(16)])
    assert doubt is not None
    assert "held up the candidate by 30%" in doubt.reason
    assert unfair([result(i, (None, 0.4)) for i in range(16)]) is None
    assert stolen_share(by_chance) == pytest.approx(0.15)
    assert sign_chance([1.0] * 8) == pytest.approx(2 / 2**8)


def test_the_scheduler_s_own_count(tmp_path) -> None:
    source = tmp_path / "schedstat"
    source.write_text("5 2000000000 7\n")
    before = waited_for_core(source)
    source.write_text("5 2500000000 9\n")
    assert before == 2.0
    assert since(before, source) == 0.5
    assert waited_for_core(tmp_path / "missing") is None
    assert since(None, source) is None


def test_the_baseline_s_times_are_those_of_the_visits() -> None:
    results = [result(0, (0.0, 0.0), 0.01), result(0, (0.0, 0.0), 0.02), result(1, (0.0, 0.0), None)]
    assert times(results) == {"prompt-0": [0.01, 0.02]}
    assert len(visits(results)) == 2


class Measured:
    """A runner whose attempts are at these levels of the machine."""

    def __init__(self, *levels: float) -> None:
        self.levels = list(levels)
        self.runs = 0

    def __call__(self) -> Outcome:
        level = self.levels[self.runs]
        self.runs += 1
        results = [result(i, (0.0, 0.0), 0.01 * float(np.exp(level))) for i in range(16)]
        trial = Trial(0, {}, Status.COMPLETE, speedup=1.0 + self.runs, baseline_times=times(results))
        return Outcome(trial, results)


EARLIER = [Trial(n, {}, Status.COMPLETE, baseline_times={f"prompt-{i}": [0.01] for i in range(16)}) for n in range(3)]


def test_a_doubted_trial_is_measured_again_and_the_first_attempt_counts_nowhere() -> None:
    run = Measured(0.8, 0.0)
    guarded = Guard(STUDY).run(run, EARLIER)
    trial = guarded.outcome.trial
    assert (trial.status, trial.speedup, run.runs) == (Status.COMPLETE, 3.0, 2)
    assert [attempt["cause"] for attempt in trial.attempts] == [Cause.DRIFTED]
    assert len(guarded.invalid) == 1


def test_a_machine_that_stays_slower_is_believed_the_second_time() -> None:
    assert Guard(STUDY).run(Measured(0.8, 0.8), EARLIER).outcome.trial.status is Status.COMPLETE


def test_after_the_last_attempt_the_trial_is_invalid() -> None:
    run = Measured(0.8, -0.8)
    trial = Guard(STUDY).run(run, EARLIER).outcome.trial
    assert (trial.status, trial.cause, len(trial.attempts)) == (Status.INVALID, Cause.DRIFTED, 2)
    once = Measured(0.8)
    assert Guard(replace(STUDY, max_repeats=0)).run(once, EARLIER).outcome.trial.status is Status.INVALID


class FakeGpu:
    """Returns the readings it was given, the last for ever."""

    def __init__(self, *readings: Reading) -> None:
        self.readings = list(readings)

    def read(self) -> Reading:
        return self.readings.pop(0) if len(self.readings) > 1 else self.readings[0]


GIB = 2**30
QUIET = Reading({10: 4 * GIB, 99: GIB}, 6 * GIB, 0x1)


@pytest.mark.parametrize(
    ("looks", "cause"),
    [
        ([QUIET] * 4, None),
        ([QUIET, Reading({10: 4 * GIB, 99: GIB, 77: GIB}, 7 * GIB, 0), QUIET], Cause.FOREIGN),
        ([QUIET, Reading(QUIET.processes, 6 * GIB, 0x40), QUIET], Cause.THROTTLED),
        ([QUIET] * 30 + [Reading(QUIET.processes, 6 * GIB, 0x40)], None),
        ([QUIET, Reading(QUIET.processes, 6 * GIB, 0x4)], None),
        ([QUIET, Reading(QUIET.processes, 7 * GIB, 0)], Cause.MEMORY_HELD),
        ([QUIET, Reading({10: 5 * GIB, 99: GIB}, 7 * GIB, 0)], None),
        ([QUIET, Reading({10: None, 99: None}, 9 * GIB, 0)], None),
    ],
    ids=["quiet", "foreign", "throttled", "once in thirty", "power cap", "held", "our own", "unknown"],
)
def test_the_gpu_s_watch(looks: list[Reading], cause: Cause | None) -> None:
    watch = GpuWatch(FakeGpu(QUIET, *looks))
    watch.begin()
    for _ in looks:
        watch.look()
    doubt = watch.doubt(ours=[10])
    assert (doubt.cause if doubt else None) == cause


def test_what_stays_on_the_gpu_is_its_new_state() -> None:
    busy = Reading({10: 4 * GIB, 77: GIB}, 7 * GIB, 0)
    watch = GpuWatch(FakeGpu(QUIET, busy))
    watch.begin()
    watch.look()
    assert watch.doubt([10]) is not None
    watch.look()
    assert watch.doubt([10]) is None


def test_the_guard_asks_the_watch() -> None:
    class Busy:
        def __init__(self) -> None:
            self.doubts = [Doubt(Cause.FOREIGN, "another process")]

        def look(self) -> None:
            pass

        def doubt(self, ours: Sequence[int]) -> Doubt | None:
            return self.doubts.pop() if self.doubts else None

    trial = Guard(STUDY, Busy(), lambda: [1]).run(Measured(0.0, 0.0), EARLIER).outcome.trial
    assert trial.status is Status.COMPLETE
    assert [attempt["cause"] for attempt in trial.attempts] == [Cause.FOREIGN]


@pytest.mark.parametrize(
    ("device", "visible", "name"),
    [
        ("cuda", None, 0),
        ("cuda:1", None, 1),
        ("cuda", "3,5", 3),
        ("cuda:1", "3,5", 5),
        ("cuda", "GPU-ab12", "GPU-ab12"),
    ],
)
def test_which_device_is_meant(device: str, visible: str | None, name: int | str) -> None:
    assert nvml_name(device, visible) == name


def test_a_study_on_a_machine_that_slows_down_for_a_while(commands) -> None:
    """The fake engine's clock runs 80 % slower for a stretch of its requests: the trial in it is measured again."""
    done = commands.tune("study.n_trials=3", "engine.slow_requests=[150,200]", "workload.num_prompts=16",
                         "study.prune_alpha=0")  # fmt: skip
    assert done.status == 0, done.err
    again = [trial for trial in done.trials if trial["attempts"]]
    assert len(again) == 1
    assert again[0]["attempts"][0]["cause"] == "the baseline drifted"
    assert again[0]["status"] == "complete"
    assert "could not be believed and count nowhere" in done.out
    assert list(done.folder.glob("samples/trial-*-invalid-1.jsonl"))


def trust_of(done) -> dict:
    return json.loads((done.folder / "best.json").read_text())["details"]["trust"]


BENCH = ("workload.num_confirm_prompts=16", "load.confirm_passes=2")


def test_a_bench_on_a_machine_that_slows_down_for_a_while(commands) -> None:
    done = commands.bench(*BENCH, "engine.slow_requests=[40,80]")
    assert done.status == 0, done.err
    trust = trust_of(done)
    assert [attempt["cause"] for attempt in trust["invalid_attempts"]] == ["the baseline drifted"]
    assert trust["doubts"] == []
    assert done.line["confirmed"]
    assert "The measurement was made again, because the baseline's time" in done.out
    assert (done.folder / "samples" / "trial-000-invalid-1.jsonl").is_file()


def test_a_bench_that_is_doubted_to_the_end_has_a_number_and_confirms_nothing(commands) -> None:
    done = commands.bench(*BENCH, "engine.slow_requests=[40,80]", "study.max_repeats=0")
    assert done.status == 0, done.err
    assert (done.line["speedup"] > 1, done.line["confirmed"], done.line["trials"]["invalid"]) == (True, False, 1)
    assert len(trust_of(done)["doubts"]) == 1
    assert "The measurement is doubted, so it confirms nothing: the baseline's time" in done.out


def test_a_quiet_bench_has_nothing_to_say(commands) -> None:
    done = commands.bench(*BENCH)
    assert trust_of(done)["invalid_attempts"] == trust_of(done)["doubts"] == []
    assert "doubted" not in done.out
    assert "made again" not in done.out


@pytest.mark.parametrize(("repeats", "sure"), [(1, True), (0, False)])
def test_a_confirmation_that_is_doubted_is_made_again(commands, repeats: int, sure: bool) -> None:
    """One trial of 8 prompts is over before the machine slows down for a while."""
    done = commands.tune("study.n_trials=1", "study.knob_visits=0", *BENCH, "engine.slow_requests=[80,120]",
                         f"study.max_repeats={repeats}")  # fmt: skip
    assert done.status == 0, done.err
    assert [trial["attempts"] for trial in done.trials] == [[]]
    found = trust_of(done)["confirmation"]
    assert (len(found["invalid_attempts"]), len(found["doubts"])) == (1, 1 - repeats)
    assert done.line["confirmed"] is sure
    assert ("The confirmation was made again" in done.out) is sure
    assert (done.folder / "samples" / "confirm-invalid-1.jsonl").is_file() is sure


def test_an_attempt_that_drifted_within_is_no_measure_for_the_next(commands) -> None:
    """Alone, and with no earlier trial: the repetition is compared with itself only."""
    results = [result(i, (0.0, 0.0), 0.01 if i < 8 else 0.02) for i in range(16)]
    again = [result(i, (0.0, 0.0), 0.01) for i in range(16)]
    assert doubt_of(results, None, (CANDIDATE,), STUDY) is not None
    assert doubt_of(again, results, (CANDIDATE,), STUDY) is None


@pytest.mark.parametrize(
    ("seconds", "scatter", "steady"),
    [([1.0, 1.1, 1.2], 0.0, True), ([1.0, 1.0, 1.5], 0.0, False), ([1.0, 1.5], 0.15, True), ([1.0, 3.0], 0.15, False)],
)
def test_few_windows_of_one_unit_must_lie_together(seconds: list[float], scatter: float, steady: bool) -> None:
    """Where windows of other units scatter by 15 %, half as much again is no drift."""
    earlier = [{"other": [float(np.exp(scatter * each)) for each in RNG.normal(size=12)]}]
    doubt = unsteady([Visit("cell", each) for each in seconds], earlier, 0.3)
    assert (doubt is None) is steady


def test_time_without_a_core_is_said() -> None:
    found = of_measurement([result(i, (0.4, 0.4)) for i in range(4)], [])
    assert found["waited_for_core"] == pytest.approx(0.4)
    assert notes_of_measurement(found, "The measurement") == [
        "The measurement waited for a core in 40 % of its time: other processes were at work."
    ]
    assert notes_of_measurement(of_measurement([result(0, (0.01, 0.0))], []), "The measurement") == []


def test_a_gpu_that_nobody_watches_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    watch, words = watch_of({"device": "cuda:0"})
    assert isinstance(watch, NoWatch)
    (note,) = notes_of_watch(words)
    assert note == "The GPU is not watched: nvidia-ml-py is not installed (pip install nvidia-ml-py)."
    assert notes_of_watch(watch_of({"device": "cpu"})[1]) == []


def test_what_the_management_library_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", library())
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    watch, words = watch_of({"device": "cuda:1"})
    assert words.startswith("the GPU's processes, clocks and memory")
    assert isinstance(watch, GpuWatch)
    assert watch.reader.read() == Reading({7: 3 * GIB}, 5 * GIB, 0x40)
    assert watch.standing == {7}


def library() -> SimpleNamespace:
    """nvidia-ml-py as far as it is used, with one device of index 3."""

    def handle(index: int) -> str:
        assert index == 3
        return "device"

    return SimpleNamespace(
        NVMLError=OSError,
        nvmlInit=lambda: None,
        nvmlDeviceGetHandleByIndex=handle,
        nvmlDeviceGetComputeRunningProcesses=lambda _: [SimpleNamespace(pid=7, usedGpuMemory=3 * GIB)],
        nvmlDeviceGetMemoryInfo=lambda _: SimpleNamespace(used=5 * GIB),
        nvmlDeviceGetCurrentClocksThrottleReasons=lambda _: 0x40,
    )
