"""What ran where: recorded with every result."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

PACKAGES = ("spectune", "torch", "transformers", "optuna", "mlflow")


def environment(engine: Mapping[str, Any]) -> dict[str, Any]:
    """The engine's own account first, then the machine and the versions."""
    return {
        **engine,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpus": os.cpu_count(),
        **{name: found for name in PACKAGES if (found := _version(name)) is not None},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
