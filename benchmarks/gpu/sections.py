"""The measurements of the second half, by name."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.autograd import DeviceType

from benchmarks.gpu import drafts, kernel_times, outside, speed, steps
from benchmarks.gpu.bench import Bench
from benchmarks.gpu.captured import abandon, forget
from benchmarks.gpu.ceilings import Ceilings
from benchmarks.gpu.ceilings import measure as measure_ceilings
from benchmarks.gpu.methods import published
from benchmarks.gpu.peer import peer_of
from benchmarks.timing import table
from engine import Engine

OF_A_MODEL = ("steps", "drafts", "speed", "outside")
SECTIONS = (*OF_A_MODEL, "kernels")
MODELS = ("llama31-8b", "qwen3-0.6b")


def ceilings(bench: Bench) -> Ceilings | None:
    found: Ceilings | None = bench.run("ceilings", lambda: measure_ceilings(bench.device, bench.timer, bench.sizes))
    if found is not None:
        rows = [[found.copy / 1e9, found.read / 1e9, found.matmul / 1e12]]
        table("ceilings", ["copy GB/s", "read GB/s", "bf16 matmul TFLOP/s"], rows)
    return found


def load(name: str, bench: Bench) -> Engine:
    """A published shape with random bf16 weights; its steps are captured, on a GPU and without one."""
    sizes = {"max_num_seqs": max(bench.sizes.batches), "max_model_len": bench.sizes.max_model_len}
    how = {"load_format": "dummy", "dtype": "bfloat16", "kernels": "fused", "enforce_eager": False}
    options: dict[str, Any] = sizes | how
    return Engine.load(published(name)[0], device=str(bench.device), **options)


def of_a_model(name: str, bench: Bench, found: Ceilings, wanted: Sequence[str]) -> dict[str, Any]:
    """Results by section, the engine's environment and the most memory that was in use."""
    reset_peak(bench.device)
    engine = bench.run(f"{name}: load", lambda: load(name, bench))
    if engine is None:
        return {}
    works = works_of(engine, published(name)[1], bench, found)
    results: dict[str, Any] = {}
    for each in (each for each in works if each in wanted):
        made = bench.run(f"{name}: {each}", works[each])
        results |= {} if made is None else {each: made}
        abandon(engine)
    return results | {"engine": engine.environment(), "peak_memory_bytes": peak(bench.device)}


def works_of(engine: Engine, head: Path, bench: Bench, found: Ceilings) -> dict[str, Callable[[], Any]]:
    shared = (bench.timer, bench.sizes)
    kind = DeviceType.CUDA if bench.device.type == "cuda" else DeviceType.CPU
    return {
        "steps": lambda: steps.measure(engine, bench, found),
        "drafts": lambda: drafts.measure(engine, head, bench.steps(), *shared),
        "speed": lambda: speed.measure(engine, head, peer_of(engine), bench.steps(), *shared),
        "outside": lambda: outside.measure(engine, head, bench.steps(), *shared, kind),
    }


def of_models(names: Sequence[str], bench: Bench, found: Ceilings, wanted: Sequence[str]) -> dict[str, Any]:
    """One after another, as they may not fit side by side."""
    results: dict[str, Any] = {}
    for name in names if wanted else ():
        results[name] = of_a_model(name, bench, found, wanted)
        forget(bench.device)
    return results


def kernels(bench: Bench, found: Ceilings) -> dict[str, Any]:
    """The times of every kernel, and those that differ from their references and were not timed."""
    rows: list[kernel_times.Timed] = []
    differences: list[str] = []
    for name in kernel_times.WORKS:
        measure = partial(kernel_times.measure, bench.device, bench.timer, found.bandwidth, [name])
        timed, differing = bench.run(f"kernels: {name}", measure) or ([], [])
        rows += timed
        differences += differing
        forget(bench.device)
    table("kernels", ["kernel", "shape", "us", "GB/s", "of bandwidth"], [list(row) for row in rows])
    return {"times": [row._asdict() for row in rows], "differences": differences}


def peak(device: torch.device) -> int | None:
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None


def reset_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
