"""Share of the engine's steps in which no kernel runs: 1 - time in kernels / wall time, at batch 1."""

from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from benchmarks.gpu.captured import Steps
from benchmarks.gpu.sizes import FULL, Sizes
from benchmarks.gpu.speed import synthetic, wait
from benchmarks.gpu.timer import Timer
from benchmarks.timing import table
from engine import Engine, SamplingParams

ROUNDS = 15
BEFORE = 6  # steps in which the prompt is read, and what is first used is made
ACTIVITIES = {DeviceType.CUDA: ProfilerActivity.CUDA, DeviceType.CPU: ProfilerActivity.CPU}
NOT_KERNELS = ("Memcpy", "Memset", "Activity Buffer", "Context Sync", "Event Sync", "Stream Sync")


def measure(
    engine: Engine, head: Path, steps: Steps, timer: Timer, sizes: Sizes = FULL, device: DeviceType = DeviceType.CUDA
) -> dict[str, dict[str, float]]:
    """By method: ms of wall time and of kernels a step, and the share outside. Of plain steps, the same without the
    profiler: the captured step alone, by events.
    """
    k, found = sizes.synthetic[len(sizes.synthetic) // 2], {}
    for name, config in {"none": None, f"eagle3 K={k}": synthetic(head, k)}.items():
        engine.configure_speculation(config)
        found[name] = shares(engine, device, sizes)
    engine.configure_speculation(None)
    replay = steps.target_step(engine, 1, 1, sizes.prompt + BEFORE + sizes.steps // 2)
    alone = median(timer.paired({"step": replay}, ROUNDS)["step"])
    found["none"] |= {"captured_ms": alone * 1e3, "share_outside_captured": 1 - alone * 1e3 / found["none"]["wall_ms"]}
    header = ["", "wall ms", "kernels ms", "share outside", "captured ms", "share outside captured"]
    rows = [[name, *each.values(), *["-"] * (5 - len(each))] for name, each in found.items()]
    table("a step at batch 1", header, rows)
    return found


def shares(engine: Engine, device: DeviceType, sizes: Sizes) -> dict[str, float]:
    """The wall time is that of steps without the profiler, which slows the host."""
    params = SamplingParams(max_tokens=engine.max_model_len - sizes.prompt, temperature=0.0, ignore_eos=True)
    engine.add_request("outside", [3 + i % 97 for i in range(sizes.prompt)], params)
    run_steps(engine, BEFORE)
    wait()
    begin = perf_counter()
    run_steps(engine, sizes.steps)
    wait()
    wall = (perf_counter() - begin) / sizes.steps
    kernels = busy_seconds(lambda: run_steps(engine, sizes.steps), device) / sizes.steps
    engine.abort_request("outside")
    return {"wall_ms": wall * 1e3, "kernels_ms": kernels * 1e3, "share": 1 - kernels / wall}


def run_steps(engine: Engine, count: int) -> None:
    """All of them with the request at work: one that ended would make steps of nothing."""
    for _ in range(count):
        if engine.step():
            raise RuntimeError("the request ended before its steps were timed: give it more room")


def busy_seconds(run: Callable[[], None], device: DeviceType) -> float:
    with profile(activities=[ACTIVITIES[device]]) as seen:
        run()
        wait()
    found = spans(seen.events(), device)
    if not found:
        raise RuntimeError("torch's profiler saw no kernel: it needs CUPTI, and the right to use it")
    return union(found) / 1e6


def spans(events: Iterable[Any], device: DeviceType) -> list[tuple[float, float]]:
    """Begin and end of every kernel, microseconds."""
    return [
        (event.time_range.start, event.time_range.end)
        for event in events
        if event.device_type == device
        and not event.name.startswith(NOT_KERNELS)
        and not getattr(event, "is_user_annotation", False)
    ]


def union(spans: list[tuple[float, float]]) -> float:
    """The time that at least one of them covers."""
    covered, last = 0.0, float("-inf")
    for begin, end in sorted(spans):
        covered += max(0.0, end - max(begin, last))
        last = max(last, end)
    return covered
