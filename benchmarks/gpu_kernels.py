"""Time of every kernel over its byte bound, on a CUDA GPU.

    python -m benchmarks.gpu_kernels [NAME...]

Before a kernel is timed it must agree with its plain-torch reference. Launches are captured in a CUDA graph and
replayed, each on memory of its own, so neither the host nor the L2 cache has a part in the figures. The ceiling is a
copy measured in the same run. NAMEs pick kernels; the last line is JSON.
"""

import sys
from collections.abc import Callable
from statistics import median
from typing import NamedTuple

import torch

from benchmarks import kernel_works, step_works
from benchmarks.kernel_works import Work
from benchmarks.timing import finish, table

WORKS = kernel_works.WORKS | step_works.WORKS
TOLERANCE = 2e-2  # of bf16 values around 1
REPEATS = 20


class Timed(NamedTuple):
    kernel: str
    shape: str
    microseconds: float
    gb_per_s: float
    of_ceiling: float


def graph_seconds(run: Callable[[int], object], turns: int) -> float:
    """Median seconds of one of `turns` captured runs."""
    torch.cuda.synchronize()
    with torch.cuda.stream(torch.cuda.Stream()):
        run(0)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for turn in range(turns):
            run(turn)
    return median(replay_seconds(graph) for _ in range(REPEATS)) / turns


def replay_seconds(graph: torch.cuda.CUDAGraph) -> float:
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    begin.record()
    graph.replay()
    end.record()
    torch.cuda.synchronize()
    return begin.elapsed_time(end) / 1e3


def copy_ceiling(device: torch.device, num_bytes: int = 2**30) -> float:
    """Bytes a second of a copy, read and written."""
    source = torch.zeros(num_bytes, dtype=torch.uint8, device=device)
    goal = torch.empty_like(source)
    return 2 * num_bytes / graph_seconds(lambda _: goal.copy_(source), 4)


def assert_agrees(work: Work) -> None:
    got, expected = work.check()
    if not torch.allclose(got.float(), expected.float(), rtol=TOLERANCE, atol=TOLERANCE):
        worst = float((got.float() - expected.float()).abs().max())
        raise SystemExit(f"{work.kernel} {work.shape} differs from its reference by {worst:.3g}: not timed")


def timed(work: Work, ceiling: float) -> Timed:
    assert_agrees(work)
    seconds = graph_seconds(work.run, work.turns)
    rate = work.num_bytes / seconds
    return Timed(work.kernel, work.shape, seconds * 1e6, rate / 1e9, rate / ceiling)


def refusal(names: list[str]) -> str | None:
    """Why nothing can be timed, in one line."""
    unknown = [name for name in names if name not in WORKS]
    if unknown:
        return f"no kernel {unknown[0]!r}: allowed are {', '.join(WORKS)}"
    return None if torch.cuda.is_available() else "benchmarks.gpu_kernels needs a CUDA GPU, and torch finds none"


def main(names: list[str]) -> int:
    reason = refusal(names)
    if reason is not None:
        print(reason, file=sys.stderr)
        return 2
    device = torch.device("cuda")
    ceiling = copy_ceiling(device)
    rows = [timed(work, ceiling) for name in names or WORKS for work in WORKS[name](device)]
    gpu = torch.cuda.get_device_name(device)
    table(
        f"{gpu}: copy {ceiling / 1e9:.0f} GB/s", ["kernel", "shape", "us", "GB/s", "of copy"], [list(r) for r in rows]
    )
    finish("gpu_kernels", {"gpu": gpu, "copy_gb_per_s": ceiling / 1e9, "kernels": [row._asdict() for row in rows]})
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
