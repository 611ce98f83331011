"""The prompts of several workloads, one list a split, and in which order they are visited."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from autotune.plan import Step, arm_order, steps
from autotune.prompts import requests_by_split
from autotune.robust.mix import unit_name
from autotune.settings import LoadSettings, Settings
from workloads import Request


@dataclass(frozen=True)
class Part:
    """`count` prompts of one workload from `first` on; it has no name where there is one workload."""

    name: str
    first: int
    count: int


Parts = Mapping[str, Sequence[Part]]
"""By split."""


def whole(counts: Mapping[str, int]) -> Parts:
    """Of one workload."""
    return {split: (Part("", 0, count),) for split, count in counts.items()}


def gathered(settings: Settings, splits: Sequence[str]) -> tuple[dict[str, list[Request]], Parts]:
    """The requests of all workloads by split, one workload after the other, and where each of them is."""
    warm = settings.method.warm_requests
    if settings.mix is None:
        requests = requests_by_split(settings.workload, splits, warm)
        return requests, whole({split: len(found) for split, found in requests.items()})
    together: dict[str, list[Request]] = {}
    parts: dict[str, list[Part]] = {}
    for workload in settings.workloads:
        for split, found in requests_by_split(workload, splits, warm).items():
            into = together.setdefault(split, [])
            parts.setdefault(split, []).append(Part(workload.name, len(into), len(found)))
            into += found
    return together, parts


def visits(
    load: LoadSettings, parts: Sequence[Part], passes: int, arms: Sequence[str], first_window: int = 0
) -> list[Step]:
    """`steps` of every workload, interleaved, so that a machine that changes does so for all of them alike. Under load
    a window has requests of one workload, and every workload has as many windows as there are passes.
    """
    own = [_of(part, steps(load, part.count, passes, arm_order(arms, turn), first_window)) for turn, part in
           enumerate(parts)]  # fmt: skip
    placed = [((place + 0.5) / len(visited), step) for visited in own for place, step in enumerate(visited)]
    return [step for _, step in sorted(placed, key=lambda each: each[0])]


def _of(part: Part, visited: Sequence[Step]) -> list[Step]:
    return [
        replace(step, unit=unit_name(part.name, step.unit), indices=tuple(part.first + index for index in step.indices))
        for step in visited
    ]


def weighs_alike(settings: Settings) -> bool:
    """Whether the mean over all units is what the search goes by, so that a prediction of it is of use."""
    if settings.mix is None:
        return True
    single = settings.load.kind == "single"  # under load every workload has as many windows
    return settings.mix.weighs_alike({each.name: each.num_prompts if single else 1 for each in settings.workloads})
