"""Does a knob do anything? Where a change of it left every counter of the engine as it was, on every prompt, it is
dead: its settings are one configuration, and measurements of them are repeats.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import combinations
from typing import Any

from autotune.dimension import METHOD
from autotune.samples import CANDIDATE, Counters, UnitResult
from autotune.status import Status
from autotune.trial import Trial

Effects = Mapping[str, str]
Parameters = Mapping[str, Any]
Knob = tuple[str, str]
FEWEST = 2  # units that both have


@dataclass(frozen=True)
class DeadKnob:
    """`values` left the counters of `units` units equal, all else being equal. `trials` showed it; none where the knob
    was changed for that purpose. `knob` is the method, where several are searched, and the path.
    """

    knob: Knob
    values: tuple[Any, ...]
    units: int
    trials: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "knob": name_of(self.knob),
            "values": list(self.values),
            "units": self.units,
            "trials": list(self.trials),
        }

    def sentence(self) -> str:
        *first, last = map(str, self.values)
        return (
            f"{name_of(self.knob)} is dead here: {', '.join(first)} and {last} left every draft, every acceptance and "
            "every step as they were; its trials count as repeats of one configuration"
        )


def knob_of(parameters: Parameters, path: str) -> Knob:
    """A method's own knob is another one than that of the same name in another method."""
    return str(parameters.get(METHOD, "")) if path.startswith("method.") else "", path


def name_of(knob: Knob) -> str:
    """As it is shown."""
    method, path = knob
    return ".".join(filter(None, (method, path.removeprefix("method."))))


def fingerprint(counters: Counters) -> str:
    """Equal for equal counts; times are no counts."""
    counts = [(f.name, getattr(counters, f.name)) for f in fields(counters) if not f.name.endswith("_s")]
    return hashlib.blake2s(repr(counts).encode(), digest_size=6).hexdigest()


def effects(results: Sequence[UnitResult]) -> dict[str, str]:
    """What the candidate's counters were on every unit, the first time it was measured."""
    found: dict[str, str] = {}
    for result in results:
        found.setdefault(result.unit, fingerprint(result.runs[CANDIDATE].counters))
    return found


def same(left: Effects, right: Effects) -> bool | None:
    """Whether two configurations counted the same wherever both were measured; None where that says nothing."""
    shared = left.keys() & right.keys()
    return all(left[unit] == right[unit] for unit in shared) if len(shared) >= FEWEST else None


def difference(left: Parameters, right: Parameters) -> set[str]:
    return {path for path in {**left, **right} if left.get(path) != right.get(path)}


@dataclass(frozen=True)
class Knobs:
    """The searched knobs by what the trials show of them."""

    dead: tuple[DeadKnob, ...]
    alive: tuple[Knob, ...]
    unknown: tuple[Knob, ...]


def judge(trials: Sequence[Trial], alike: Callable[[Trial, Trial], bool]) -> Knobs:
    """From pairs of trials that differ in one knob only. `alike` says that a pair is as fast as each other: a knob may
    leave all counts alone and still cost time.
    """
    measured = [trial for trial in trials if trial.status in (Status.COMPLETE, Status.PRUNED) and trial.effects]
    knobs = dict.fromkeys(knob_of(trial.parameters, path) for trial in measured for path in trial.parameters)
    shown: dict[Knob, list[tuple[Trial, Trial, bool]]] = {knob: [] for knob in knobs if knob[1] != METHOD}
    for left, right in combinations(measured, 2):
        changed, equal = difference(left.parameters, right.parameters), same(left.effects, right.effects)
        if len(changed) == 1 and METHOD not in changed and equal is not None:
            knob = knob_of(left.parameters, changed.pop())
            shown[knob].append((left, right, equal and alike(left, right)))
    alive = tuple(knob for knob, pairs in shown.items() if not all(equal for *_, equal in pairs))
    dead = tuple(_dead(knob, pairs) for knob, pairs in shown.items() if pairs and knob not in alive)
    return Knobs(dead, alive, tuple(knob for knob, pairs in shown.items() if not pairs))


def _dead(knob: Knob, pairs: Sequence[tuple[Trial, Trial, bool]]) -> DeadKnob:
    given = (trial.parameters.get(knob[1]) for left, right, _ in pairs for trial in (left, right))
    values = {str(value): value for value in given}.values()
    numbers = sorted({trial.number for left, right, _ in pairs for trial in (left, right)})
    units = max(len(left.effects.keys() & right.effects.keys()) for left, right, _ in pairs)
    return DeadKnob(knob, tuple(values), units, tuple(numbers))


def merged(trials: Sequence[Trial], dead: Sequence[DeadKnob]) -> list[list[Trial]]:
    """Complete trials in groups of one configuration each, dead knobs left out; unequal counts stay apart."""
    knobs = {knob.knob for knob in dead}
    groups: list[list[Trial]] = []
    for trial in trials:
        if trial.status is Status.COMPLETE:
            group = next((g for g in groups if _belongs(trial, g[0], knobs)), None)
            if group is None:
                groups.append([trial])
            else:
                group.append(trial)
    return groups


def _belongs(trial: Trial, other: Trial, dead: set[Knob]) -> bool:
    if trial.key == other.key:
        return True
    changed = difference(trial.parameters, other.parameters)
    return {knob_of(trial.parameters, path) for path in changed} <= dead and bool(same(trial.effects, other.effects))
