"""What is timed on a GPU: small, on a CPU, every piece of work can be built, run and checked."""

import pytest
import torch

from benchmarks.gpu_kernels import assert_agrees, main
from benchmarks.kernel_works import Shape, attention_work, compaction_work, rotation_work
from benchmarks.step_works import Sizes, activation_work, lookup_work, norm_work, verify_work

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
    "lookup": lambda: lookup_work(CPU, 3, 50),
}


@pytest.mark.parametrize("name", WORKS)
def test_a_work_runs_and_agrees_with_its_reference(name, monkeypatch):
    monkeypatch.setattr("benchmarks.kernel_works.BEYOND_CACHE", 1)
    work = WORKS[name]()
    assert work.turns >= 2
    work.run(work.turns - 1)
    assert_agrees(work)


def test_bytes_of_attention_are_those_of_keys_and_values(monkeypatch):
    monkeypatch.setattr("benchmarks.kernel_works.BEYOND_CACHE", 1)
    assert WORKS["decode"]().num_bytes == 2 * 4096 * (2 * 2 * 32) * 2


def test_a_kernel_that_differs_is_not_timed():
    work = WORKS["compaction"]()._replace(check=lambda: (torch.zeros(3), torch.ones(3)))
    with pytest.raises(SystemExit, match="differs from its reference by 1"):
        assert_agrees(work)


def test_without_a_gpu_it_refuses_in_one_line(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main([]) == 2
    assert capsys.readouterr().err == "benchmarks.gpu_kernels needs a CUDA GPU, and torch finds none\n"


def test_a_name_that_is_no_kernel_is_refused(capsys):
    assert main(["flash"]) == 2
    assert capsys.readouterr().err.startswith("no kernel 'flash': allowed are tree_attention, ")
