"""From nested results to MLflow's flat names."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

ALLOWED = re.compile(r"[^\w\-./ :]")


def flat(values: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Leaves with dotted names: {"tpot_ms": {"p50": 1}} gives tpot_ms.p50, lists give name.0, name.1."""
    if isinstance(values, Mapping):
        for key, value in values.items():
            yield from flat(value, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(values, list | tuple) and any(isinstance(value, int | float) for value in values):
        for index, value in enumerate(values):
            yield from flat(value, f"{prefix}.{index}")
    else:
        yield ALLOWED.sub("_", prefix), values


def numbers(values: Any, step: int, prefix: str = "") -> list[list[Any]]:
    """[name, value, step] of every finite number."""
    return [
        [name, float(value), step]
        for name, value in flat(values, prefix)
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    ]


def factor_numbers(factor: float | None, interval: Sequence[float] | None) -> dict[str, float | None]:
    """Of one objective among several."""
    low, high = interval or (None, None)
    return {"value": factor, "low": low, "high": high}
