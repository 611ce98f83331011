"""The record of one trial: what was tried, how it ended, what was measured. Plain data that survives a restart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from autotune.analysis import Gains
from autotune.measurement import TARGET
from autotune.status import Cause, Status


@dataclass(frozen=True)
class Factor:
    """How many times better than no speculation on one metric: the geometric mean over units of the paired ratio."""

    factor: float
    interval: tuple[float, float] | None
    interval_method: str
    gains: Gains
    own_gains: Gains


@dataclass(frozen=True)
class Trial:
    """`speedup` is the geometric mean over units of the paired ratio, `interval` its bounds, `gains` the log-ratios
    behind.

    `output_law` says whose law the answers have; "target" is the model's own.
    `worker` names who measured it, as host:process, where a study has several.
    `violations` are those of the constraints by name and bound, 0 or below where it is kept.
    `repeats` lists earlier trials of the same configuration whose measurements are pooled in.
    `prediction` is what the model said before the trial, `evidence` what it learns from it (autotune/model).
    `ended` says why more or less than the plan was measured. `attempts` were not believed and are in none of the
    numbers; `baseline_times` (seconds per token) and `effects` (of the counters) by unit are what others are judged by.
    Of several objectives, `speedup` and what belongs to it are those of the first, `further` those of the others by
    metric, and `score` is what their rule goes by.
    """

    number: int
    parameters: Mapping[str, Any]
    status: Status
    cause: Cause = Cause.NONE
    reason: str = ""
    speedup: float | None = None
    interval: tuple[float, float] | None = None
    interval_method: str = ""
    units: int = 0
    units_planned: int = 0
    lossless: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    baseline: Mapping[str, Any] = field(default_factory=dict)
    gains: Gains = field(default_factory=dict)
    own_gains: Gains = field(default_factory=dict)
    repeats: tuple[int, ...] = ()
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0
    started: str = ""
    samples: str = ""
    output_law: str = TARGET
    worker: str = ""
    prediction: Mapping[str, Any] | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)
    violations: Mapping[str, float] = field(default_factory=dict)
    ended: str = ""
    attempts: tuple[Mapping[str, Any], ...] = ()
    baseline_times: Mapping[str, list[float]] = field(default_factory=dict)
    effects: Mapping[str, str] = field(default_factory=dict)
    further: Mapping[str, Factor] = field(default_factory=dict)
    score: tuple[float, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def key(self) -> tuple[tuple[str, Any], ...]:
        """Equal for trials of the same configuration."""
        return key_of(self.parameters)

    @property
    def rank(self) -> tuple[float, ...]:
        """Larger is better, among the trials of one study."""
        return self.score or (self.speedup or 0.0,)


def key_of(parameters: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted((path, _hashable(value)) for path, value in parameters.items()))


def _hashable(value: Any) -> Any:
    return tuple(map(_hashable, value)) if isinstance(value, list | tuple) else value


def trial_from_json(plain: Mapping[str, Any]) -> Trial:
    known = {f.name: plain[f.name] for f in fields(Trial) if f.name in plain}
    return Trial(
        **{
            **known,
            "status": Status(known["status"]),
            "cause": Cause(known.get("cause", "")),
            "interval": tuple(known["interval"]) if known.get("interval") else None,
            "repeats": tuple(known.get("repeats", ())),
            "warnings": tuple(known.get("warnings", ())),
            "attempts": tuple(known.get("attempts", ())),
            "further": {name: _factor(each) for name, each in known.get("further", {}).items()},
            "score": tuple(known.get("score", ())),
        }
    )


def _factor(plain: Mapping[str, Any]) -> Factor:
    return Factor(**{**plain, "interval": tuple(plain["interval"]) if plain["interval"] else None})


def counts(trials: list[Trial]) -> dict[str, int]:
    """How many trials ended how."""
    return {str(status): sum(trial.status is status for trial in trials) for status in Status}


def ranking(trials: list[Trial]) -> list[Trial]:
    """The complete trials, which lost nothing that they had to keep, best first, one per configuration: its last, which
    pools the earlier ones.
    """
    latest = {trial.key: trial for trial in trials if trial.status is Status.COMPLETE}
    return sorted(latest.values(), key=lambda trial: trial.rank, reverse=True)
