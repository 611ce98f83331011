"""Where and with what a run was made; and the switch that lets Triton kernels run without a GPU."""

import os
import shlex
import subprocess
from collections.abc import Sequence
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

PACKAGES = ("torch", "triton", "transformers", "safetensors", "numpy")
ROOT = Path(__file__).resolve().parents[2]


def prepare() -> torch.device:
    """The GPU; without one the CPU, with Triton's interpreter, which must be asked for before triton is imported."""
    if torch.cuda.is_available():
        os.environ.setdefault("TEARDOWN_CUPTI", "0")  # else captured graphs may be lost to a second profile
        return torch.device("cuda")
    os.environ["TRITON_INTERPRET"] = "1"
    return torch.device("cpu")


def facts(device: torch.device, module: str, arguments: Sequence[str]) -> dict[str, Any]:
    """GPU, date, versions, commit and command."""
    return {
        "gpu": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        "driver": _line("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"),
        "date": date.today().isoformat(),
        "versions": {name: _version(name) for name in PACKAGES} | {"cuda": torch.version.cuda},
        "commit": _line("git", "-C", str(ROOT), "rev-parse", "HEAD"),
        "command": shlex.join(["python", "-m", module, *arguments]),
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _line(*command: str) -> str | None:
    """The first line of what a program says; None where there is no such program, or it fails."""
    try:
        lines = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout.splitlines()
    except (OSError, subprocess.SubprocessError):
        return None
    return lines[0].strip() if lines else None
