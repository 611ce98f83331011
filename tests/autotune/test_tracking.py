"""MLflow: parent and children with their true states; an absent server loses nothing and delays nothing."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from autotune.settings import TrackingSettings
from autotune.tracking.flatten import flat, numbers
from autotune.tracking.journal import Journal
from autotune.tracking.leftovers import send_leftovers, waiting
from autotune.tracking.system import SystemMetrics
from autotune.tracking.tracker import Tracker


def runs_of(database: Path) -> list[Any]:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{database}")
    experiment = client.get_experiment_by_name("spectune")
    return list(client.search_runs([experiment.experiment_id]))


def test_a_study_is_a_parent_with_a_child_a_trial(commands, tmp_path: Path) -> None:
    database = tmp_path / "mlflow.db"
    done = commands.tune(
        f"tracking.uri=sqlite:///{database}", "engine.fault=memory", "engine.fault_at=3", "study.n_trials=5",
        "method.search.prompt_lookup_min=null", "method.search.prompt_lookup_max=null", "workload.num_prompts=16",
        "method.num_speculative_tokens=4", "+search.method.num_speculative_tokens={int: [1, 5]}",
    )  # fmt: skip
    assert done.status == 0, done.err
    runs = runs_of(database)
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    children = {run.info.run_name: run for run in runs if "mlflow.parentRunId" in run.data.tags}
    assert [run.info.status for run in parents] == ["FINISHED"]
    assert {run.data.tags["mlflow.parentRunId"] for run in children.values()} == {parents[0].info.run_id}
    expected = {"complete": "FINISHED", "pruned": "KILLED", "infeasible": "FAILED", "failed": "FAILED"}
    assert {t["status"] for t in done.trials} >= {"complete", "pruned", "infeasible"}
    for trial in done.trials:
        run = children[f"trial {trial['number'] + 1}"]
        assert run.info.status == expected[trial["status"]]
        assert run.data.params == {f"method.{k}": str(v) for k, v in trial["parameters"].items()}
        assert trial["speedup"] is None or run.data.metrics["speedup"] == pytest.approx(trial["speedup"])
    assert parents[0].data.metrics["speedup"] == pytest.approx(done.line["speedup"], rel=1e-4)
    assert parents[0].data.params["method.speculative_config.num_speculative_tokens"] == "4"
    assert not list((commands.outputs / "spool").iterdir())


def test_a_server_that_is_away_costs_seconds_and_no_records(commands, tmp_path: Path) -> None:
    began = time.perf_counter()
    done = commands.tune("tracking.uri=http://127.0.0.1:9", "study.n_trials=2")
    assert done.status == 0, done.err
    assert time.perf_counter() - began < 30
    assert done.out.count("the run goes on, its records wait in") == 1
    (journal,) = waiting(commands.outputs / "spool")
    events = [json.loads(line) for line in journal.path.read_text().splitlines()]
    assert [event["do"] for event in events].count("start") == 3
    # The server comes back, here as a database: the next run sends what waited.
    database = tmp_path / "mlflow.db"
    events[0]["uri"] = f"sqlite:///{database}"
    journal.path.write_text("".join(json.dumps(event) + "\n" for event in events))
    sync = [sys.executable, "-m", "autotune.sync", str(commands.outputs)]
    sent = subprocess.run(sync, cwd=commands.project, capture_output=True, text=True, check=False)
    assert sent.returncode == 0, sent.stderr
    assert "sent the records of 1 run" in sent.stdout
    assert sorted(run.info.run_name for run in runs_of(database))[-2:] == ["trial 1", "trial 2"]
    assert not list((commands.outputs / "spool").iterdir())


def test_a_server_that_hangs_is_given_up(tmp_path: Path) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=lambda: [listener.accept() for _ in range(20)], daemon=True)
    thread.start()
    journal = Journal.begin(tmp_path, "key", f"http://127.0.0.1:{listener.getsockname()[1]}", "spectune")
    journal.append({"do": "end", "key": "key", "status": "FINISHED"})
    began = time.perf_counter()
    assert send_leftovers(tmp_path, timeout=1.0) == 0
    assert time.perf_counter() - began < 20
    assert len(waiting(tmp_path)) == 1


def test_sending_goes_on_where_it_broke_off(tmp_path: Path) -> None:
    journal = Journal.begin(tmp_path, "key", "uri", "spectune")
    for number in range(3):
        journal.append({"do": "metrics", "key": "key", "metrics": [], "n": number})
    journal.mark(2)
    again = Journal(journal.path)
    assert [event["n"] for _, event in again.unsent()] == [1, 2]
    with journal.path.open("a") as file:
        file.write('{"do": "met')  # killed while writing
    assert [event["n"] for _, event in again.unsent()] == [1, 2]
    assert not again.is_ended


def test_names_and_numbers_for_mlflow() -> None:
    values = {
        "tpot_ms": {"p50": 1.5, "count": 3},
        "rate": [0.5, None],
        "what": "text",
        "bad": float("nan"),
        "engine.k|x": 1,
    }
    assert dict(flat(values))["tpot_ms.p50"] == 1.5
    assert numbers(values, 4) == [
        ["tpot_ms.p50", 1.5, 4],
        ["tpot_ms.count", 3.0, 4],
        ["rate.0", 0.5, 4],
        ["engine.k_x", 1.0, 4],
    ]


def test_runs_are_found_by_what_they_are(commands, tmp_path: Path) -> None:
    """Tags on parents and children, curves of the search, and readings of the machine."""
    from mlflow.tracking import MlflowClient

    database = tmp_path / "mlflow.db"
    done = commands.tune(f"tracking.uri=sqlite:///{database}", "study.n_trials=3", "study.name=mine")
    assert done.status == 0, done.err
    client = MlflowClient(f"sqlite:///{database}")
    experiment = [client.get_experiment_by_name("spectune").experiment_id]
    wanted = {
        "kind": "study", "method": "ngram", "model": done.line["model"], "workload": "summarization", "load": "single",
        "objective": "tpot", "measurement": "measured", "output_law": "target", "lossless": "True",
        "confirmed": str(done.line["confirmed"]), "status": "finished",
    }  # fmt: skip
    for name, value in wanted.items():
        found = client.search_runs(experiment, f"tags.{name} = '{value}' and tags.kind = 'study'")
        assert len(found) == 1, (name, value)
    (parent,) = found
    assert "mine" in parent.data.tags["study"]
    assert f"**{done.line['speedup']:.2f}x [" in parent.data.tags["mlflow.note.content"]
    children = client.search_runs(experiment, "tags.method = 'ngram' and tags.kind = 'trial'")
    assert len(children) == len(done.trials) == 3
    assert {run.data.tags["study"] for run in children} == {parent.data.tags["study"]}
    assert client.search_runs(experiment, "tags.method = 'suffix'") == []
    lasted = {run.info.run_name: (run.info.end_time - run.info.start_time) / 1000 for run in children}
    for trial in done.trials:
        assert lasted[f"trial {trial['number'] + 1}"] == pytest.approx(trial["seconds"], abs=0.5)

    def curve(name: str) -> dict[int, float]:
        return {point.step: point.value for point in client.get_metric_history(parent.info.run_id, name)}

    for trial in done.trials:
        step = trial["number"]
        if trial["speedup"] is not None:
            assert curve("search/speedup")[step] == pytest.approx(trial["speedup"])
            assert curve("search/tpot_ms")[step] == pytest.approx(trial["metrics"]["tpot_ms"]["p50"])
            assert curve("search/acceptance_rate")[step] == pytest.approx(trial["metrics"]["acceptance_rate"])
    best = curve("search/best_speedup")
    assert [best[step] for step in sorted(best)] == sorted(best.values())
    readings = curve("system/cpu_utilization_percentage")
    assert sorted(readings) == list(range(len(done.trials) + 1))
    assert all(value > 0 for value in readings.values())


def test_system_metrics_have_the_names_that_mlflow_knows() -> None:
    from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
    from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
    from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor

    known = set()
    for monitor in (CPUMonitor(), DiskMonitor(), NetworkMonitor()):
        monitor.collect_metrics()
        known |= {f"system/{name}" for name in monitor.aggregate_metrics()}
    ours = SystemMetrics()
    names = {name for name, _, _ in ours.read() if "gpu" not in name}
    assert len(names) >= 5
    assert names <= known
    assert {step for _, _, step in ours.read()} == {1}


class FakeNvml:
    """One GPU that does not tell its power."""

    class NVMLError(Exception):
        pass

    nvmlInit = staticmethod(lambda: None)
    nvmlDeviceGetCount = staticmethod(lambda: 1)
    nvmlDeviceGetHandleByIndex = staticmethod(lambda index: index)
    nvmlDeviceGetMemoryInfo = staticmethod(lambda handle: SimpleNamespace(used=2e9, total=8e9))
    nvmlDeviceGetUtilizationRates = staticmethod(lambda handle: SimpleNamespace(gpu=73))

    @classmethod
    def nvmlDeviceGetPowerUsage(cls, handle: int) -> int:
        raise cls.NVMLError("not supported")


def test_a_gpu_tells_what_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", FakeNvml)
    system = SystemMetrics()
    assert system.gpus == "1 recorded"
    found = {name: value for name, value, _ in system.read() if "gpu" in name}
    assert found == {
        "system/gpu_0_memory_usage_percentage": 25.0,
        "system/gpu_0_memory_usage_megabytes": 2000.0,
        "system/gpu_0_utilization_percentage": 73,
    }


def test_the_machine_is_recorded_only_when_wanted(tmp_path: Path) -> None:
    for wanted in (True, False):
        settings = TrackingSettings("mlflow", f"sqlite:///{tmp_path}/{wanted}.db", "spectune", 1.0, wanted)
        tracker = Tracker(settings, tmp_path / "spool", f"key-{wanted}", print)
        tracker.begin("run", None, {}, {})
        tracker.finish({}, {}, [])
        (run,) = runs_of(tmp_path / f"{wanted}.db")
        assert any(name.startswith("system/") for name in run.data.metrics) is wanted
