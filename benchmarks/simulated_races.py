"""Races between equal configurations on a simulated machine: heavy tails, prompts that differ, stalls, and a speed that
wanders. The truth is known, so every stop is a mistake.

A time is  prompt x machine(t) x jitter,  and t moves on with every run of an arm. The machine's log-speed is an AR(1)
process that the arms of a visit share but for what it moves between them. As in a study, an arm runs there and back in
every visit, its quicker run counts, and the incumbent is the best of `rivals` configurations measured before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from autotune.analysis import Gains, means
from autotune.pruning import Incumbent, Pruner


@dataclass(frozen=True)
class Noise:
    """`jitter` scales Student's t with `freedom` degrees; a share `stalls` of the runs is longer by an exponential of
    mean 0.2; the machine's log-speed has deviation `drift` and forgets at 1 - `memory` a run. `effect` is how far
    prompts differ in what the candidate gains on them.
    """

    name: str
    jitter: float = 0.02
    freedom: float = 3.0
    stalls: float = 0.02
    drift: float = 0.1
    memory: float = 0.98
    effect: float = 0.15


KINDS = (
    Noise("quiet", jitter=0.005, freedom=30, stalls=0.0, drift=0.01),
    Noise("heavy tails", freedom=2.2, stalls=0.0, drift=0.0),
    Noise("stalls", jitter=0.01, stalls=0.1, drift=0.0),
    Noise("drift", jitter=0.01, stalls=0.0, drift=0.3, memory=0.95),
    Noise("all together", jitter=0.03, freedom=2.5, stalls=0.05, drift=0.2),
)


class Machine:
    """Gives every run its relative time."""

    def __init__(self, noise: Noise, rng: np.random.Generator) -> None:
        self._noise, self._rng, self._level = noise, rng, float(rng.normal(0, noise.drift))

    def run(self) -> float:
        """The log of a run's time over its usual one."""
        noise, rng = self._noise, self._rng
        self._level = noise.memory * self._level + rng.normal(0, noise.drift * (1 - noise.memory**2) ** 0.5)
        stall = rng.exponential(0.2) if rng.random() < noise.stalls else 0.0
        return float(self._level + noise.jitter * rng.standard_t(noise.freedom) + np.log1p(stall))

    def gain(self, turn: int) -> float:
        """What a visit adds to the true gain: baseline and candidate there and back, the quicker run of each."""
        order = (0, 1, 1, 0) if turn % 2 == 0 else (1, 0, 0, 1)
        times = ([], [])  # type: tuple[list[float], list[float]]
        for arm in order:
            times[arm].append(self.run())
        return min(times[0]) - min(times[1])


def trial(effects: np.ndarray, machine: Machine, passes: int = 1) -> Iterator[Gains]:
    """The gains after every visit of a configuration whose true gain on prompt i is effects[i]."""
    measured: Gains = {}
    for repeat in range(passes):
        for unit, effect in enumerate(effects):
            measured.setdefault(f"prompt-{unit}", []).append(float(effect) + machine.gain(unit + repeat))
            yield measured


def race(noise: Noise, seed: int, units: int, rivals: int, worse_by: float = 0.0, alpha: float = 0.05) -> bool:
    """Whether a configuration that is `worse_by` below its `rivals` is stopped against the luckiest of them."""
    rng = np.random.default_rng(seed)
    machine, effects = Machine(noise, rng), rng.normal(0.3, noise.effect, size=units)
    earlier = [means(list(trial(effects, machine))[-1]) for _ in range(rivals)]
    best = max(earlier, key=lambda gains: sum(gains.values()))
    pruner = Pruner(Incumbent(0, best, rivals), units, alpha=alpha, first=5)
    return any(pruner.should_stop(measured) for measured in trial(effects - worse_by, machine))


def rate(noise: Noise, count: int, worse_by: float = 0.0, alpha: float = 0.05) -> int:
    """How many of `count` races are stopped, over the usual sizes: 8 to 32 units, 1 to 14 rivals."""
    sizes = [(units, rivals) for units in (8, 12, 16, 32) for rivals in (1, 3, 8, 14)]
    return sum(race(noise, seed, *sizes[seed % len(sizes)], worse_by, alpha) for seed in range(count))
