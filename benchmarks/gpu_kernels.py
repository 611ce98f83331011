"""Time of every kernel over its byte bound, on a CUDA GPU.

    python -m benchmarks.gpu_kernels [NAME...]

Before a kernel is timed it must agree with its plain-torch reference; where one does not, the exit status is 1.
Launches are captured in a CUDA graph and replayed, each on memory of its own, so neither the host nor the L2 cache has
a part in the figures. The ceiling is a copy measured in the same run. NAMEs pick kernels; the last line is JSON.
"""

import sys

import torch

from benchmarks.gpu.ceilings import copy_ceiling
from benchmarks.gpu.kernel_times import WORKS, Timed, measure
from benchmarks.gpu.sizes import FULL
from benchmarks.gpu.timer import Timer
from benchmarks.timing import finish, table

HEADER = ["kernel", "shape", "us", "GB/s", "of copy"]


def refusal(names: list[str]) -> str | None:
    """Why nothing can be timed, in one line."""
    unknown = [name for name in names if name not in WORKS]
    if unknown:
        return f"no kernel {unknown[0]!r}: allowed are {', '.join(WORKS)}"
    return None if torch.cuda.is_available() else "benchmarks.gpu_kernels needs a CUDA GPU, and torch finds none"


def report(names: list[str], device: torch.device, gpu: str, timer: Timer, num_bytes: int = FULL.copied) -> int:
    """Measure and print; the exit status."""
    ceiling = copy_ceiling(device, timer, num_bytes)
    rows, differences = measure(device, timer, ceiling, names or list(WORKS))
    show(f"{gpu}: copy {ceiling / 1e9:.0f} GB/s", rows)
    times = [row._asdict() for row in rows]
    finish("gpu_kernels", {"gpu": gpu, "copy_gb_per_s": ceiling / 1e9, "kernels": times, "differences": differences})
    return 1 if differences else 0


def show(title: str, rows: list[Timed]) -> None:
    table(title, HEADER, [list(row) for row in rows])


def main(names: list[str]) -> int:
    reason = refusal(names)
    if reason is not None:
        print(reason, file=sys.stderr)
        return 2
    device = torch.device("cuda")
    return report(names, device, torch.cuda.get_device_name(device), Timer())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
