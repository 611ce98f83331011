"""What is measured in which order: the units of a comparison, their repeats, and which arm goes first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from autotune.load import load_of
from autotune.settings import LoadSettings


@dataclass(frozen=True)
class Step:
    """One visit to one unit. `indices` are the prompts of the split that it serves, `arrivals` when each comes, in
    seconds from the start; none where the loop is closed.
    """

    unit: str
    repeat: int
    indices: tuple[int, ...]
    order: tuple[str, ...]
    arrivals: tuple[float, ...] = ()


def steps(load: LoadSettings, num_prompts: int, passes: int, arms: Sequence[str], first_window: int = 0) -> list[Step]:
    """All visits. One request at a time: a unit is a prompt, visited once a pass. Under load: a unit is a window
    over all prompts, and every pass is a new unit. The arms swap places from visit to visit and from pass to pass.

    Every window of an open loop has arrivals of its own, the same for all arms and all trials. `first_window` of them
    belong to others: a confirmation has new arrivals as it has new prompts.
    """
    process = load_of(load)
    if load.kind == "single":
        visits: list[tuple[str, int, tuple[int, ...]]] = [
            (f"prompt-{i}", repeat, (i,)) for repeat in range(passes) for i in range(num_prompts)
        ]
    else:
        everything = tuple(range(num_prompts))
        visits = [(f"window-{window}", 0, everything) for window in range(passes)]
    return [
        Step(
            unit,
            repeat,
            indices,
            arm_order(arms, place + repeat),
            process.arrivals(num_prompts, first_window + place) if process.is_open else (),
        )
        for place, (unit, repeat, indices) in enumerate(visits)
    ]


def arm_order(arms: Sequence[str], turn: int) -> tuple[str, ...]:
    """Two arms alternate AB, BA; more rotate, so that each comes first, and last, equally often."""
    shift = turn % len(arms)
    return (*arms[shift:], *arms[:shift])
