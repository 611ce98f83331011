"""Helpers of the kernel tests. Launchers are called as they are; without a GPU, tests/conftest.py interprets them."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

ROOT = Path(__file__).resolve().parents[2]
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
DTYPES = (torch.float32, torch.float16, torch.bfloat16)
TOLERANCE = {torch.float32: 2e-5, torch.float16: 2e-3, torch.bfloat16: 1.6e-2}  # a few roundings of values around 1
SHARED_LIMIT = {80: 163 * 1024, 90: 227 * 1024, 100: 227 * 1024}  # bytes a block may opt into, by compute capability


class Built(NamedTuple):
    """A kernel compiled ahead of time. `stack` is in bytes a thread: what the registers could not hold."""

    kernel: str
    capability: int
    constants: str
    shared: int
    registers: int
    stack: int


def unwritten(*shape: int, dtype: torch.dtype) -> Tensor:
    """Memory that a kernel must not read: NaN, for integers the lowest value."""
    worst = float("nan") if dtype.is_floating_point else torch.iinfo(dtype).min
    return torch.full(shape, worst, dtype=dtype, device=DEVICE)


def random(*shape: int, dtype: torch.dtype, seed: int = 0) -> Tensor:
    """Normal values, the same on every device."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator).to(DEVICE, dtype)


def assert_same(got: Tensor, expected: Tensor, tolerance: float | None = None) -> None:
    """Within the dtype's rounding; NaN is never equal."""
    bound = TOLERANCE.get(expected.dtype, 0.0) if tolerance is None else tolerance
    torch.testing.assert_close(got, expected, rtol=bound, atol=bound)


def build(launch: Callable[[], None], capabilities: Sequence[int] = (80, 90, 100)) -> list[Built]:
    """Compile what `launch`, a function of a test module, launches on meta tensors, in a process without interpreter.

    Signatures, specialisations, constants and options are those of the launches, so the check follows the launcher.
    """
    module = sys.modules[launch.__module__].__file__
    command = [sys.executable, str(Path(__file__).with_name("ahead_of_time.py")), str(module), launch.__name__]
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), environment.get("PYTHONPATH", "")]).strip(os.pathsep)
    command += [str(capability) for capability in capabilities]
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return [Built(*fields) for fields in json.loads(run.stdout.splitlines()[-1])]


def assert_builds(
    launch: Callable[[], None], capabilities: Sequence[int] = (80, 90, 100), max_stack: int = 32
) -> list[Built]:
    """Every launch compiles for every capability, fits into the chip's shared memory and spills next to nothing."""
    built = build(launch, capabilities)
    assert {one.capability for one in built} == set(capabilities)
    assert [one for one in built if one.shared > SHARED_LIMIT[one.capability]] == []
    assert [one for one in built if one.stack > max_stack] == []
    return built
