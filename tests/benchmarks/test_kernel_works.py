"""What is timed on a GPU: small, on a CPU, every piece of work can be built, run and checked."""

import json

import pytest
import torch

from benchmarks import gpu_kernels
from benchmarks.gpu import kernel_times
from benchmarks.gpu.kernel_times import agrees, difference
from benchmarks.gpu.timer import Timer
from benchmarks.gpu_kernels import main, report
from benchmarks.kernel_works import Shape, attention_work, compaction_work, rotation_work
from benchmarks.product_works import eight_bit_work, four_bit_work
from benchmarks.step_works import Sizes, activation_work, inputs_work, lookup_work, norm_work, verify_work
from tests.benchmarks.stand_ins import Cuda

CPU = torch.device("cpu")
SMALL = Shape(heads=4, kv_heads=2, dim=32, layers=2)
NARROW = Sizes(hidden=64, inner=48, vocabulary=30)
WORKS = {
    "decode": lambda: attention_work(CPU, 2, 1, 4096, SMALL),
    "tree": lambda: attention_work(CPU, 2, 8, 2048, SMALL),
    "plain": lambda: rotation_work(CPU, 5, False, SMALL),
    "norm": lambda: rotation_work(CPU, 5, True, SMALL),
    "compaction": lambda: compaction_work(CPU, 3, 4, SMALL),
    "residual": lambda: norm_work(CPU, 3, NARROW),
    "activation": lambda: activation_work(CPU, 3, NARROW),
    "greedy": lambda: verify_work(CPU, 2, 4, 0.0, NARROW),
    "sampled": lambda: verify_work(CPU, 2, 4, 1.0, NARROW),
    "int8": lambda: eight_bit_work(CPU, torch.int8, 3, (64, 128)),
    "fp8": lambda: eight_bit_work(CPU, torch.float8_e4m3fn, 3, (64, 128)),
    "int4": lambda: four_bit_work(CPU, 3, (64, 128)),
    "inputs": lambda: inputs_work(CPU, 9, 4),
    "lookup": lambda: lookup_work(CPU, 3, 50),
}


@pytest.mark.parametrize("name", WORKS)
def test_a_work_runs_and_agrees_with_its_reference(name, monkeypatch):
    monkeypatch.setattr("benchmarks.kernel_works.BEYOND_CACHE", 1)
    work = WORKS[name]()
    assert work.turns >= 2
    work.run(work.turns - 1)
    assert difference(work) is None


def test_bytes_of_attention_are_those_of_keys_and_values(monkeypatch):
    monkeypatch.setattr("benchmarks.kernel_works.BEYOND_CACHE", 1)
    assert WORKS["decode"]().num_bytes == 2 * 4096 * (2 * 2 * 32) * 2


@pytest.fixture
def works(monkeypatch):
    """All that are timed, small and under their own names."""
    monkeypatch.setattr("benchmarks.kernel_works.BEYOND_CACHE", 1)
    made = [work() for work in WORKS.values()]
    by_kernel = {kernel: [work for work in made if work.kernel == kernel] for kernel in kernel_times.WORKS}
    assert all(by_kernel.values())
    for module in (kernel_times, gpu_kernels):
        monkeypatch.setattr(module, "WORKS", {name: lambda _, found=found: found for name, found in by_kernel.items()})
    return by_kernel


def test_every_work_is_timed_in_a_graph(works, capsys):
    """A replay takes 1 ms for all turns of a work; the copy's four turns too, so its bandwidth is known."""
    assert report([], CPU, "stand-in", Timer(Cuda(per_turn=1e-3)), num_bytes=1000) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["copy_gb_per_s"] == pytest.approx(2 * 1000 * 4 / 1e-3 / 1e9)
    work, row = works["tree_attention"][0], found["kernels"][0]
    assert row["microseconds"] == pytest.approx(1e3 / work.turns)
    assert row["of_ceiling"] == pytest.approx(work.num_bytes * work.turns / 8000)
    assert len(found["kernels"]) == len(WORKS)


def test_a_kernel_that_differs_is_not_timed(works, capsys):
    works["compact_kv"][0] = works["compact_kv"][0]._replace(check=lambda: (torch.zeros(3), torch.ones(3)))
    assert report(["compact_kv", "verify"], CPU, "stand-in", Timer(Cuda()), num_bytes=1000) == 1
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert {row["kernel"] for row in found["kernels"]} == {"verify"}
    assert found["differences"][0].endswith("differs from its reference by 1: not timed")


def test_tokens_agree_only_where_they_are_the_same():
    assert agrees(torch.tensor([100_000]), torch.tensor([100_000]))
    assert not agrees(torch.tensor([100_001]), torch.tensor([100_000]))
    assert agrees(torch.tensor([1.001]), torch.tensor([1.0]))


def test_without_a_gpu_it_refuses_in_one_line(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main([]) == 2
    assert capsys.readouterr().err == "benchmarks.gpu_kernels needs a CUDA GPU, and torch finds none\n"


def test_a_name_that_is_no_kernel_is_refused(capsys):
    assert main(["flash"]) == 2
    assert capsys.readouterr().err.startswith("no kernel 'flash': allowed are tree_attention, ")
