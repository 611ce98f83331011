"""Interleaved timing: contenders take turns on the same work, and only ratios within a round are compared."""

import json
import platform
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch


def interleave(contenders: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Seconds of every contender in every round; the order alternates, one round before is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(rounds + 1):
        names = list(contenders) if turn % 2 else list(reversed(contenders))
        for name in names:
            begin = time.perf_counter()
            contenders[name]()
            if turn:
                seconds[name].append(time.perf_counter() - begin)
    return seconds


def ratio(slower: list[float], faster: list[float]) -> float:
    """The median over rounds of how many times longer the first took."""
    return median(a / b for a, b in zip(slower, faster, strict=True))


def table(title: str, header: list[str], rows: list[list[Any]]) -> None:
    """Print aligned columns."""
    cells = [header, *[[f"{cell:.3g}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    print(f"\n{title}")
    for row in cells:
        print("  " + "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)))


def finish(name: str, results: dict[str, Any]) -> None:
    """The machine-readable last line."""
    machine = {"machine": platform.machine(), "python": platform.python_version(), "torch": torch.__version__}
    print(json.dumps({"benchmark": name, "environment": machine, **results}))
