"""The few lines that only a GPU runs, against stand-ins of torch.cuda: order of calls, sums of times, memory."""

import gc
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch

from engine import laps
from engine.captured import graph_reserve, graphs, static
from engine.errors import OutOfMemoryError
from engine.models.config import read_config
from engine.models.fused_cache import FusedKVCache
from tests.engine.captured_cases import MODEL

GPU = torch.device("cuda")


class Event:
    """Time passes by one second a mark; what is marked is done once `now` is past it."""

    now, finished = 0, 100

    def __init__(self, enable_timing=False):
        self.at = 0

    def record(self):
        Event.now += 1
        self.at = Event.now

    def query(self):
        return self.at <= Event.finished

    def elapsed_time(self, other):
        return 1000.0 * (other.at - self.at)

    def synchronize(self):
        """It is done."""


class Graph:
    """Repeats the function that was called while it was recorded."""

    def __init__(self, calls):
        self.calls = calls

    def capture_begin(self, pool):
        assert pool == (0, 1)
        self.calls += ["begin", gc.isenabled()]

    def capture_end(self):
        self.calls.append("end")

    def replay(self):
        self.calls.append("replay")


@pytest.fixture
def calls(monkeypatch):
    found = []
    stream = SimpleNamespace(wait_stream=lambda other: None)
    for name, value in {
        "Stream": lambda: stream,
        "current_stream": lambda: stream,
        "stream": lambda _: nullcontext(),
        "synchronize": lambda: found.append("wait"),
        "graph_pool_handle": lambda: (0, 1),
        "CUDAGraph": lambda: Graph(found),
        "Event": Event,
    }.items():
        monkeypatch.setattr(torch.cuda, name, value)
    return found


def test_a_graph_is_recorded_once_and_repeated(calls):
    captured = graphs.Captured(lambda: calls.append("called"), graphs.new_pool(GPU))
    assert calls == ["called", "wait", "begin", False, "called", "end"]
    assert gc.isenabled()
    calls.clear()
    captured.run()
    captured.run()
    assert calls == ["replay", "replay"]


def test_a_recording_that_fails_is_ended(calls):
    def fail():
        calls.append("called")
        if calls.count("called") == 2:
            raise RuntimeError("not while recording")

    with pytest.raises(RuntimeError, match="not while recording"):
        graphs.Captured(fail, graphs.new_pool(GPU))
    assert calls[-1] == "end"
    assert gc.isenabled()


def test_laps_are_settled_when_the_device_is_through(calls, monkeypatch):
    monkeypatch.setattr(Event, "now", 0)
    found = laps.laps_for(GPU)
    found.begin()
    found.lap("draft")
    found.lap("target")
    monkeypatch.setattr(Event, "finished", 3)
    assert found.settle() == {"draft": 1.0}
    found.begin()
    found.lap("draft")
    monkeypatch.setattr(Event, "finished", 100)
    assert found.settle() == {"target": 1.0, "draft": 1.0}
    assert found.settle() == {}


def test_a_report_is_waited_for_once(calls, monkeypatch):
    empty, waited = torch.empty, []
    monkeypatch.setattr(torch, "empty", lambda *shape, pin_memory=False, **options: empty(*shape, **options))
    monkeypatch.setattr(Event, "synchronize", lambda self: waited.append(1))
    report = static.Report(GPU)
    for values in ([1, 2, 3], [4, 5]):
        report.fetch(torch.tensor(values))
        assert report.wait().tolist() == values
    assert len(waited) == 2


def test_numbers_are_not_changed_before_they_are_sent(calls, monkeypatch):
    zeros, waited = torch.zeros, []
    plain = {"pin_memory": None, "device": None}
    monkeypatch.setattr(
        torch, "zeros", lambda *shape, **options: zeros(*shape, **{k: v for k, v in options.items() if k not in plain})
    )
    monkeypatch.setattr(Event, "synchronize", lambda self: waited.append(self.at))
    inputs = static.StaticInputs({"slots": (3,), "temperatures": (2,)}, GPU)
    for number in (1, 2):
        inputs.settle()
        inputs.host["slots"][:], inputs.host["temperatures"][:] = number, number / 2
        assert inputs.device["slots"].tolist() == [number - 1] * 3
        inputs.send()
        assert inputs.device["slots"].tolist() == [number] * 3
        assert inputs.device["temperatures"].tolist() == [number / 2] * 2
    assert waited == [0, Event.now - 1]


def test_room_for_graphs_is_left_beside_the_cache(monkeypatch):
    config = read_config(MODEL)
    target = SimpleNamespace(device=GPU, config=config, dtype=torch.float32)
    room = graph_reserve(target, 4)
    a_row = 8 * config.vocab_size + 4 * (8 * config.hidden_size + 4 * config.intermediate_size)
    assert room == 4 * 9 * a_row + 64 * 64 * config.vocab_size
    assert graph_reserve(SimpleNamespace(device=torch.device("cpu")), 4) == 0
    size = (config, 4, 64, torch.float32, torch.device("cpu"))
    needed = FusedKVCache(*size).num_bytes
    monkeypatch.setattr("engine.models.kv_cache._free_bytes", lambda device: needed + room)
    FusedKVCache(*size, reserve=room)
    with pytest.raises(OutOfMemoryError, match="a cache of"):
        FusedKVCache(*size, reserve=room + 1)
