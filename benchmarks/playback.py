"""A worker that answers from a recording of `benchmarks.grid`: studies of a measured space without a model or a clock.

A visit is drawn from some passes of the recording, so that studies with other seeds see other noise; the truth they are
held against comes from the other passes.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from autotune import arms
from autotune.analysis import gains, interval_of
from autotune.metrics import OBJECTIVES, ratio, tpot
from autotune.samples import BASELINE, Arm, ArmRun, UnitResult
from autotune.settings import Settings
from autotune.stats import Interval
from autotune.worker.protocol import Opened

Place = tuple[str, int, int, str]
"""Split, pass, prompt, and configuration."""


class Grid:
    """All visits of a recording. Configurations are named as they are drafted with: by their speculative config."""

    def __init__(self, kept: Mapping[str, Any], settings: Settings) -> None:
        self.environment = dict(kept["environment"])
        self.names = {f"c{i}": name_of(settings, point) for i, point in enumerate(kept["points"])}
        self.visits: dict[Place, UnitResult] = {}
        for (split, turn, _, prompt), result in kept["visits"].items():
            for short in result.runs.keys() - {BASELINE}:
                self.visits[split, turn, prompt, self.names[short]] = named(result, short, self.names[short])

    @property
    def passes(self) -> int:
        return 1 + max(turn for _, turn, _, _ in self.visits)

    def truths(
        self, settings: Settings, passes: Iterable[int], splits: Sequence[str] = ("search", "confirm")
    ) -> dict[str, Interval]:
        """The log-gain of every configuration over the prompts of the splits."""
        chosen, found = set(passes), dict[str, list[UnitResult]]()
        for (split, turn, prompt, name), result in self.visits.items():
            if turn in chosen and split in splits:
                found.setdefault(name, []).append(replace(result, unit=f"{split}-{prompt}"))
        metric = OBJECTIVES[settings.objective.metric]
        return {name: interval_of(gains(each, name, metric), settings.study) for name, each in found.items()}

    def tokens(self, passes: Iterable[int]) -> int:
        """Output tokens measured in these passes; the baseline of eight configurations that were measured together
        counts once for all of them.
        """
        chosen = set(passes)
        own = {place: result for place, result in self.visits.items() if place[1] in chosen}
        shared = {(place[0], place[1], id(result.runs[BASELINE])): result for place, result in own.items()}
        return sum(tokens_of([r.runs[place[3]]]) for place, r in own.items()) + sum(
            tokens_of([result.runs[BASELINE]]) for result in shared.values()
        )


class Playback:
    """The calls of a study's worker. `tokens` counts what the study has measured, baselines too."""

    def __init__(self, grid: Grid, passes: Sequence[int], seed: int) -> None:
        self._grid, self._passes, self._rng = grid, list(passes), random.Random(seed)
        self._arms: dict[str, str] = {}
        self.tokens = 0

    def open(self) -> Opened:
        return Opened(self._grid.environment, {})

    def prepare(self, arms: Sequence[Arm], split: str) -> list[str]:
        self._arms = {arm.name: config_name(arm.speculative_config) for arm in arms if arm.speculative_config}
        return []

    def measure(self, unit: str, split: str, indices: Sequence[int], repeat: int, order: Sequence[str], *_: Any) -> Any:
        """Arms that were not recorded in one visit stand beside the first one's baseline, each relative to its own."""
        turn, (prompt,) = self._rng.choice(self._passes), indices
        found = {arm: self._grid.visits[split, turn, prompt, name] for arm, name in self._arms.items()}
        base = next(iter(found.values())).runs[BASELINE]
        runs = {arm: beside(base, result, self._arms[arm], arm) for arm, result in found.items()}
        runs[BASELINE] = base
        self.tokens += tokens_of(runs.values())
        lost = tuple(replace(each, arm=arm) for arm, result in found.items() for each in result.divergences)
        return UnitResult(unit, repeat, tuple(order), {name: runs[name] for name in order}, lost)

    def close(self) -> None:
        """Nothing is held."""


def name_of(settings: Settings, point: Mapping[str, Any]) -> str:
    return config_name(arms.candidate(settings, point, "").speculative_config)


def config_name(config: Mapping[str, Any] | None) -> str:
    return json.dumps(config, sort_keys=True)


def named(result: UnitResult, short: str, name: str) -> UnitResult:
    """The visit as it was for one configuration and the baseline."""
    lost = tuple(each for each in result.divergences if each.arm == short)
    return replace(result, runs={BASELINE: result.runs[BASELINE], name: result.runs[short]}, divergences=lost)


def beside(base: ArmRun, result: UnitResult, name: str, arm: str) -> ArmRun:
    """The run as if its baseline had been `base`: all its times by how much faster or slower that one is per token."""
    run, own = result.runs[name], result.runs[BASELINE]
    factor = ratio(tpot([base]) or 1.0, tpot([own]) or 1.0)
    return replace(slowed(run, factor or 1.0), arm=arm)


def slowed(run: ArmRun, factor: float) -> ArmRun:
    times = ("ttft", "e2e", "tpot")
    requests = [
        replace(each, gaps=tuple(factor * gap for gap in each.gaps),
                **{time: factor * value for time in times if (value := getattr(each, time)) is not None})
        for each in run.requests
    ]  # fmt: skip
    counted = {part: factor * getattr(run.counters, part) for part in ("draft_s", "target_s", "verify_s", "other_s")}
    return replace(
        run,
        wall=None if run.wall is None else factor * run.wall,
        requests=tuple(requests),
        counters=replace(run.counters, **counted),
        step_seconds={rows: [factor * each for each in times] for rows, times in run.step_seconds.items()},
    )


def tokens_of(runs: Iterable[ArmRun]) -> int:
    return sum(request.tokens for run in runs for request in run.requests)
