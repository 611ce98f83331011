"""Energy per token, from a stand-in for the driver's counter."""

from __future__ import annotations

import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest

from autotune.metrics import energy_per_token, summary
from autotune.samples import ArmRun, Counters, RequestSample
from autotune.worker import energy


class NvmlError(Exception):
    pass


@pytest.fixture
def gpu(monkeypatch):
    """A device that draws 5 J between any two looks, and the ways in which its library may lack."""
    device = SimpleNamespace(millijoules=0, asked=[])

    def total(handle):
        if handle == "old":
            raise NvmlError("not supported")
        device.millijoules += 5_000
        return device.millijoules

    library = SimpleNamespace(
        NVMLError=NvmlError, nvmlInit=lambda: None, nvmlDeviceGetTotalEnergyConsumption=total,
        nvmlDeviceGetHandleByIndex=lambda index: device.asked.append(index) or ("old" if index == 7 else "new"),
        nvmlDeviceGetHandleByUUID=lambda name: device.asked.append(name) or "new",
    )  # fmt: skip
    cuda = SimpleNamespace(is_initialized=lambda: True, synchronize=lambda: None, current_device=lambda: 0)
    monkeypatch.setitem(sys.modules, "pynvml", library)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    energy._counter.cache_clear()
    yield device
    energy._counter.cache_clear()


def test_what_was_drawn_between_two_looks(gpu):
    assert energy.since(energy.spent()) == pytest.approx(5.0)
    assert set(gpu.asked) == {0}


def test_the_device_is_the_one_that_is_visible(gpu, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,4")
    energy.spent()
    assert set(gpu.asked) == {3}


def test_all_devices_of_an_engine_count(gpu, monkeypatch):
    assert energy.since(energy.spent(2), 2) == pytest.approx((15 + 20) - (5 + 10))
    energy._counter.cache_clear()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,7")
    assert energy.spent(2) is None  # one of them cannot tell
    assert set(gpu.asked) == {0, 1, 3, 7}


def test_a_device_without_a_counter_has_none(gpu, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    assert energy.spent() is None
    assert energy.since(None) is None


def test_without_the_library_there_is_none(gpu, monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert energy.spent() is None


def test_on_a_cpu_there_is_none():
    assert energy.spent() is None


def run(joules: float | None, tokens: int) -> ArmRun:
    request = RequestSample("r", 5, tokens, 0.1, 1.0, 0.1, 0, 0, 0)
    return ArmRun("baseline", 1.0, (request,), Counters(), energy=joules)


def test_the_metric_is_joules_over_all_tokens():
    assert energy_per_token([run(6.0, 10), run(3.0, 20)]) == pytest.approx(0.3)
    assert summary([run(6.0, 10)])["energy_per_token_j"] == pytest.approx(0.6)


def test_a_run_that_was_not_counted_leaves_no_number():
    assert energy_per_token([run(6.0, 10), replace(run(6.0, 10), energy=None)]) is None
