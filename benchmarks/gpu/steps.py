"""Time of a target step by batch and query length, over its bound."""

from collections.abc import Mapping
from functools import partial
from statistics import median
from typing import Any, NamedTuple

import torch

from benchmarks.gpu.bench import Bench
from benchmarks.gpu.bounds import Cost, step_cost
from benchmarks.gpu.captured import Replay, Steps, forget
from benchmarks.gpu.ceilings import Ceilings
from benchmarks.gpu.sizes import Sizes
from benchmarks.gpu.timer import Timer
from benchmarks.timing import ratio, table
from engine import Engine

AIM_SECONDS, FEWEST, MOST = 0.6, 5, 20
Cells = dict[str, dict[str, Any]]


class Seconds(NamedTuple):
    """Of each round: of the step, and of one row a sequence."""

    own: list[float]
    one: list[float]


def measure(engine: Engine, bench: Bench, ceilings: Ceilings) -> Cells:
    """Cells "batch x q_len": ms, bound_ms, of_bound, limited_by, over_one (over a step of one row, in pairs)."""
    target, sizes, found = engine._target, bench.sizes, {}
    for batch in sizes.batches:
        work = partial(one_batch, engine, bench.steps(), bench.timer, batch, sizes)
        for q_len, seconds in (bench.run(f"{target.folder.name}: steps, batch {batch}", work) or {}).items():
            cost = step_cost(target.config, batch, q_len, sizes.context, target.dtype.itemsize)
            found[f"{batch}x{q_len}"] = cell(seconds, cost, ceilings)
    show(f"target step of {target.folder.name}, context {sizes.context}", found, sizes)
    return found


def one_batch(engine: Engine, steps: Steps, timer: Timer, batch: int, sizes: Sizes) -> dict[int, Seconds]:
    """By query length; what is too large for the memory is left out, and said."""
    runs: dict[str, Replay] = {}
    for q_len in sizes.q_lens:
        try:
            runs[str(q_len)] = steps.target_step(engine, batch, q_len, sizes.context)
        except torch.OutOfMemoryError as error:
            print(f"  batch {batch}, {q_len} rows: left out, {str(error).splitlines()[0]}")
    seconds = timer.paired(runs, rounds_of(timer, runs))
    runs.clear()
    forget(engine._target.device)
    return {int(name): Seconds(own, seconds["1"]) for name, own in seconds.items()}


def rounds_of(timer: Timer, runs: Mapping[str, Replay]) -> int:
    """As many as fit into AIM_SECONDS, within limits."""
    together = sum(timer.once(run) for run in runs.values())
    return max(FEWEST, min(MOST, int(AIM_SECONDS / max(together, 1e-9))))


def cell(seconds: Seconds, cost: Cost, ceilings: Ceilings) -> dict[str, Any]:
    middle, bound = median(seconds.own), cost.seconds(ceilings)
    return {
        "ms": middle * 1e3,
        "bound_ms": bound * 1e3,
        "of_bound": bound / middle,
        "over_one": ratio(seconds.own, seconds.one),
        "limited_by": cost.limited_by(ceilings),
    }


def show(title: str, found: Cells, sizes: Sizes) -> None:
    header = ["batch", *(f"{q_len} rows" for q_len in sizes.q_lens)]
    for what, name in (("ms", "ms"), ("share of the bound", "of_bound"), ("over a step of one row", "over_one")):
        rows = [[b, *(found.get(f"{b}x{q}", {}).get(name, "-") for q in sizes.q_lens)] for b in sizes.batches]
        table(f"{title}: {what}", header, rows)
