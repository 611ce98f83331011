"""Time of an EAGLE-3 draft loop by its length, as a share of a target step of one row."""

from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.gpu.captured import Steps
from benchmarks.gpu.sizes import FULL, Sizes
from benchmarks.gpu.timer import Timer
from benchmarks.timing import ratio, table
from engine import Engine

ROUNDS = 15


def measure(engine: Engine, head: Path, steps: Steps, timer: Timer, sizes: Sizes = FULL) -> dict[str, dict[str, float]]:
    """Per K at batch 1: ms, and over_step, the ratio to a target step of one row in the same rounds."""
    found = {str(k): one_length(engine, head, steps, timer, sizes.context, k) for k in sizes.drafts}
    engine.configure_speculation(None)
    rows = [[k, *each.values()] for k, each in found.items()]
    table(f"EAGLE-3 draft loop, batch 1, context {sizes.context}", ["K", "ms", "over a step"], rows)
    return found


def one_length(engine: Engine, head: Path, steps: Steps, timer: Timer, context: int, k: int) -> dict[str, float]:
    engine.configure_speculation(eagle3(head, k))
    runs = {"draft": steps.draft_loop(engine, 1, k, context), "step": steps.target_step(engine, 1, 1, context)}
    seconds = timer.paired(runs, ROUNDS)
    return {"ms": median(seconds["draft"]) * 1e3, "over_step": ratio(seconds["draft"], seconds["step"])}


def eagle3(head: Path, k: int, **more: Any) -> dict[str, Any]:
    return {"method": "eagle3", "model": str(head), "num_speculative_tokens": k, **more}
