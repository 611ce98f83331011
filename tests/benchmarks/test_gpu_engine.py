"""The benchmark of a GPU without one: its second half at small sizes with a stand-in for clock and captured steps."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks import gpu_engine
from benchmarks.gpu import kernel_times, machine, sections
from benchmarks.gpu.bounds import allowed_speedup, kv_numbers, matrix_numbers, step_cost
from benchmarks.gpu.captured import engine_steps
from benchmarks.gpu.ceilings import Ceilings, measure
from benchmarks.gpu.claims import CLAIMS, judge
from benchmarks.gpu.methods import METHODS, SHAPES, published
from benchmarks.gpu.outside import union
from benchmarks.gpu.timer import Timer
from benchmarks.kernel_works import Shape, attention_work, compaction_work
from engine.models.config import read_config
from engine.models.decoder import load_weights
from tests.benchmarks.stand_ins import SMALL, Cuda, HostClock, Steps, bench_of
from tests.engine.test_dummy_weights import shrunk

CPU = torch.device("cpu")
ROOT = Path(__file__).resolve().parents[2]
NARROW = Shape(heads=4, kv_heads=2, dim=32, layers=2)
FACTS = {"gpu": "stand-in", "date": "2026-01-02", "command": "python -m benchmarks.gpu_engine"}
ABSENT = ("hydra", "omegaconf", "optuna", "mlflow", "prometheus_client", "sqlalchemy", "pynvml")
WITHOUT_THEM = f"""
import runpy, sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {ABSENT}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
sys.argv = ["gpu_engine", "--correctness"]
runpy.run_module("benchmarks.gpu_engine", run_name="__main__")
"""


def test_correctness_holds_on_a_bare_machine():
    """In a process of its own, with nothing but torch, triton, transformers and what these bring."""
    run = subprocess.run([sys.executable, "-c", WITHOUT_THEM], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    found = json.loads(run.stdout.splitlines()[-1])["correctness"]
    assert found["holds"]
    assert {each["kernel"] for each in found["kernels"]} == {
        folder.name for folder in (ROOT / "kernels").iterdir() if (folder / "op.py").exists()
    }
    assert sum(each["same"] for each in found["tokens"]) > 50
    assert {each["what"].removesuffix(" = none") for each in found["tokens"]} >= METHODS.keys()


@pytest.fixture
def stand_in(monkeypatch, tmp_path):
    """Small shapes, small works, and a bench whose clock is a stand-in."""
    target = shrunk("llama31-8b", tmp_path / "llama31-8b")
    head = shrunk("llama31-8b-eagle3", tmp_path / "head", draft_vocab_size=100, num_hidden_layers=1)
    monkeypatch.setattr(sections, "published", lambda name: (target, head))
    monkeypatch.setattr("benchmarks.kernel_works.BEYOND_CACHE", 1)
    works = {
        "tree_attention": lambda device: [attention_work(device, 1, 8, 64, NARROW)],
        "compact_kv": lambda device: [compaction_work(device, 2, 4, NARROW)],
    }
    monkeypatch.setattr(kernel_times, "WORKS", works)
    monkeypatch.setattr(gpu_engine, "RESULTS", tmp_path / "results")
    return bench_of(Cuda(), CPU)


@pytest.mark.filterwarnings("ignore:this EAGLE-3 head agrees")
def test_every_section_runs_and_ends_with_json(stand_in, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(gpu_engine, "correctness", lambda device: {"holds": True})
    wishes = gpu_engine.arguments(["--models", "llama31-8b", "--write"])
    assert gpu_engine.report(wishes, stand_in, FACTS) == 0, capsys.readouterr().out
    printed = capsys.readouterr().out
    found = json.loads(printed.splitlines()[-1])
    kept = json.loads((tmp_path / "results" / "2026-01-02-gpu-engine.json").read_text())
    assert kept["models"] == found["models"]
    model = found["models"]["llama31-8b"]
    assert model["steps"]["1x1"]["ms"] == pytest.approx(1.0)
    assert model["steps"]["2x8"]["over_one"] == pytest.approx(1.15 / 1.01)
    assert all(each["of_bound"] == pytest.approx(each["bound_ms"] / each["ms"]) for each in model["steps"].values())
    assert model["drafts"]["4"] == {"ms": pytest.approx(0.16), "over_step": pytest.approx(0.16)}
    check_speed(model["speed"])
    plain = model["outside"]["none"]
    assert plain["captured_ms"] == pytest.approx(1.0)
    assert plain["share_outside_captured"] == pytest.approx(1 - 1 / plain["wall_ms"])
    for each in model["outside"].values():
        assert each["kernels_ms"] > 0 < each["wall_ms"]
        assert each["share"] == pytest.approx(1 - each["kernels_ms"] / each["wall_ms"])
    assert [each["kernel"] for each in found["kernels"]["times"]] == ["tree_attention", "compact_kv"]
    assert {each["status"] for each in found["sections"]} == {"done"}
    verdicts = {each["claim"]: each["verdict"] for each in found["claims"]}
    assert verdicts["a verification of 8 rows over a step of 1"] == "met"
    assert verdicts["an EAGLE-3 draft loop of 4 over a step of 1"] == "met"
    assert "not measured" not in verdicts.values()


@pytest.mark.filterwarnings("ignore:this EAGLE-3 head agrees")
def test_the_engine_s_own_captured_steps_are_what_is_timed(stand_in, capsys):
    """Without a graph they run as they are, so their seconds are real."""
    stand_in.timer, stand_in.steps = Timer(HostClock()), engine_steps
    wishes = gpu_engine.arguments(["--timings", "--models", "llama31-8b", "--sections", "steps,drafts,speed"])
    assert gpu_engine.report(wishes, stand_in, FACTS) == 0, capsys.readouterr().out
    model = json.loads(capsys.readouterr().out.splitlines()[-1])["models"]["llama31-8b"]
    assert model["engine"]["steps"] == "fixed shapes, without graphs"
    assert all(each["ms"] > 0 for each in model["steps"].values())
    assert all(each["ms"] > 0 for each in model["drafts"].values())
    assert model["speed"]["synthetic"]["4"]["of_allowed"] > 0


def check_speed(speed):
    assert set(speed["tokens_per_s"]) == {"none", "eagle3 K=2", "eagle3 K=4", "transformers"}
    rate = speed["tokens_per_s"]
    assert speed["none_over_transformers"] == pytest.approx(rate["none"] / rate["transformers"])
    four = speed["synthetic"]["4"]
    assert four["published_length"] == 3.08
    assert 1.0 < four["mean_acceptance_length"] <= 5.0
    assert four["allowed"] == pytest.approx(four["mean_acceptance_length"] * 1.0 / (1.04 + 0.16))
    assert four["of_allowed"] == pytest.approx(four["speedup"] / four["allowed"])


@pytest.mark.filterwarnings("ignore:this EAGLE-3 head agrees")
def test_a_section_that_fails_costs_no_other_its_figures(stand_in, capsys, monkeypatch):
    monkeypatch.setattr(Steps, "draft_loop", lambda *_: 1 / 0)
    wishes = gpu_engine.arguments(["--timings", "--models", "llama31-8b", "--sections", "steps,drafts,kernels"])
    assert gpu_engine.report(wishes, stand_in, FACTS) == 1
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert "steps" in found["models"]["llama31-8b"]
    assert len(found["kernels"]["times"]) == 2
    status = {each["section"]: each["status"] for each in found["sections"]}
    assert status["llama31-8b: drafts"] == "failed: ZeroDivisionError: division by zero"
    assert status["kernels: compact_kv"] == "done"
    verdicts = [each["verdict"] for each in found["claims"]]
    assert verdicts[1] == "met, but correctness was not proven in this run"
    assert verdicts[2] == "not measured"


def test_what_is_too_large_is_left_out(stand_in, capsys, monkeypatch):
    whole = Steps.target_step

    def short_of_memory(self, engine, batch, q_len, context):
        if batch * q_len > 8:
            raise torch.OutOfMemoryError("CUDA out of memory.\nTried")
        return whole(self, engine, batch, q_len, context)

    monkeypatch.setattr(Steps, "target_step", short_of_memory)
    wishes = gpu_engine.arguments(["--timings", "--models", "llama31-8b", "--sections", "steps"])
    assert gpu_engine.report(wishes, stand_in, FACTS) == 0
    printed = capsys.readouterr().out
    assert "batch 2, 8 rows: left out, CUDA out of memory." in printed
    assert set(json.loads(printed.splitlines()[-1])["models"]["llama31-8b"]["steps"]) == {"1x1", "1x8", "2x1"}


def test_no_section_begins_once_the_time_is_over(stand_in, capsys):
    stand_in.budget = 0.0
    wishes = gpu_engine.arguments(["--timings"])
    assert gpu_engine.report(wishes, stand_in, FACTS) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [each["status"] for each in found["sections"]] == ["not begun: 0 s were over"]
    assert {each["verdict"] for each in found["claims"]} == {"not measured"}


def test_a_kernel_that_differs_is_not_timed_and_the_status_says_so(stand_in, capsys, monkeypatch):
    work = compaction_work(CPU, 2, 4, NARROW)._replace(check=lambda: (torch.zeros(3), torch.ones(3)))
    monkeypatch.setitem(kernel_times.WORKS, "compact_kv", lambda device: [work])
    assert gpu_engine.report(gpu_engine.arguments(["--timings", "--sections", "kernels"]), stand_in, FACTS) == 1
    found = json.loads(capsys.readouterr().out.splitlines()[-1])["kernels"]
    assert [each["kernel"] for each in found["times"]] == ["tree_attention"]
    assert "differs from its reference by 1" in found["differences"][0]


def test_what_is_wrong_is_told_by_the_status(stand_in, monkeypatch, capsys):
    monkeypatch.setattr(gpu_engine, "correctness", lambda device: {"holds": False})
    assert gpu_engine.report(gpu_engine.arguments(["--correctness"]), stand_in, FACTS) == 1


def test_without_a_gpu(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(gpu_engine, "correctness", lambda device: {"holds": True})
    assert gpu_engine.main(["--timings"]) == 2
    assert capsys.readouterr().err == "the timings need a CUDA GPU, and torch finds none\n"
    assert gpu_engine.main([]) == 0
    assert "\nthe timings need a CUDA GPU, and torch finds none\n" in capsys.readouterr().out
    assert gpu_engine.main(["--correctness"]) == 0
    assert "need a CUDA GPU" not in capsys.readouterr().out


@pytest.mark.parametrize("given", [["--sections", "steps,flash"], ["--models", "gpt"], ["--timings", "--correctness"]])
def test_what_is_unknown_is_refused(given):
    with pytest.raises(SystemExit) as refused:
        gpu_engine.arguments(given)
    assert refused.value.code == 2


def test_facts_name_versions_and_command():
    found = machine.facts(CPU, "benchmarks.gpu_engine", ["--budget", "60"])
    assert found["command"] == "python -m benchmarks.gpu_engine --budget 60"
    assert found["gpu"] is None
    assert found["versions"]["torch"] == torch.__version__


@pytest.mark.parametrize("name", ["llama31-8b", "qwen3-0.6b"])
def test_bytes_of_a_step_are_those_of_the_matrices_and_the_cache(name, tmp_path):
    config = read_config(shrunk(name, tmp_path / "target"))
    weights = load_weights(tmp_path / "target", config, torch.bfloat16, CPU, "dummy")
    assert matrix_numbers(config) == sum(matrix.numel() for matrix in weights.matrices)
    cost = step_cost(config, 3, 4, 10)
    assert cost.num_bytes == 2 * (matrix_numbers(config) + 3 * 14 * kv_numbers(config))
    assert kv_numbers(config) == config.num_layers * 2 * config.num_kv_heads * config.head_dim
    attention = 4 * config.num_layers * config.num_heads * config.head_dim * 14
    assert cost.operations == 12 * (2 * matrix_numbers(config) + attention)


def test_a_published_shape_is_bound_by_memory_at_batch_1_and_by_products_at_4096_rows():
    chip, config = Ceilings(3.9e12, 4.1e12, 7e14), read_config(published("llama31-8b")[0])
    one, many = step_cost(config, 1, 1, 1024), step_cost(config, 64, 64, 1024)
    assert one.num_bytes == pytest.approx(15.14e9, rel=0.005)
    assert one.seconds(chip) == one.num_bytes / 4.1e12
    assert (one.limited_by(chip), many.limited_by(chip)) == ("memory", "matmul")
    assert many.seconds(chip) == many.operations / 7e14
    assert {folder.name for folder in SHAPES.iterdir()} >= set(sections.MODELS)


def test_a_draft_is_worth_its_tokens_over_what_it_costs():
    assert allowed_speedup(3.0, 5.0, 5.5, 0.5) == pytest.approx(2.5)


def test_ceilings_come_from_bytes_and_operations():
    found = measure(CPU, Timer(Cuda(per_turn=4.0)), SMALL)
    assert found == Ceilings(2 * 4096, 4096, 2 * 16**3)
    assert found.bandwidth == 2 * 4096


def test_paired_runs_take_turns_and_the_first_round_does_not_count():
    cuda, order = Cuda(), []

    def run(name, seconds):
        return lambda: (order.append(name), cuda.pass_by(seconds))

    seconds = Timer(cuda).paired({"a": run("a", 1.0), "b": run("b", 3.0)}, 3)
    assert seconds == {"a": [1.0] * 3, "b": [3.0] * 3}
    assert order == ["b", "a", "a", "b", "b", "a", "a", "b"]


def test_overlapping_kernels_count_once():
    assert union([(5.0, 7.0), (0.0, 2.0), (1.0, 3.0), (1.5, 2.0)]) == 5.0


def test_every_claim_has_a_limit_that_can_be_missed():
    good = {
        "steps": {"1x1": {"of_bound": 0.9}, "1x8": {"over_one": 1.05}},
        "drafts": {"4": {"over_step": 0.1}},
        "outside": {"none": {"share": 0.01}},
        "speed": {"none_over_transformers": 4.0, "synthetic": {"4": {"of_allowed": 0.95}, "7": {"of_allowed": 0.92}}},
    }
    bad = {
        "steps": {"1x1": {"of_bound": 0.8}, "1x8": {"over_one": 1.2}},
        "drafts": {"4": {"over_step": 0.3}},
        "outside": {"none": {"share": 0.05}},
        "speed": {"none_over_transformers": 2.0, "synthetic": {"4": {"of_allowed": 0.95}, "7": {"of_allowed": 0.8}}},
    }
    assert [each["verdict"] for each in judge({"llama31-8b": good}, True)] == ["met"] * len(CLAIMS)
    assert [each["verdict"] for each in judge({"llama31-8b": bad}, True)] == ["not met"] * len(CLAIMS)
    assert [each["verdict"] for each in judge({}, True)] == ["not measured"] * len(CLAIMS)
