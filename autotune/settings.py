"""What a run needs to know, resolved once and frozen. Components take these values, never the Hydra config."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field
from typing import Any

from autotune.constraints import Constraint
from autotune.robust.mix import Mix
from autotune.slo import Slo
from workloads.load import KINDS


def ranged(low: float | None = None, high: float | None = None, default: Any = MISSING) -> Any:
    rules = {key: value for key, value in (("low", low), ("high", high)) if value is not None}
    return field(default=default, metadata=rules)


def one_of(*choices: str) -> Any:
    return field(metadata={"choices": choices})


@dataclass(frozen=True)
class ModelSettings:
    """A checkpoint is a folder or a Hub name; `drafts` are its drafts by method, None for one within the model itself.

    A recording is a file of responses to replay; the other keys are its. Of a dummy only the config.json is read: its
    weights are random.
    """

    name: str
    path: str | None
    drafts: dict = field(default_factory=dict)
    kind: str = field(default="checkpoint", metadata={"choices": ("checkpoint", "recording", "dummy")})
    prompts: str | None = None
    tokenizer: str | None = None
    step_costs: str | None = None


@dataclass(frozen=True)
class MethodSettings:
    """`speculative_config` has vLLM's field names; None means no speculation. `search` is the YAML's own block.

    `warm_requests` other prompts are answered first, for a method that drafts from earlier responses.
    """

    name: str
    speculative_config: Mapping[str, Any] | None
    search: Mapping[str, Any]
    warm_requests: int = 0


@dataclass(frozen=True)
class WorkloadSettings:
    """Counts of null are all that the source has."""

    name: str
    source: str
    num_prompts: int | None = ranged(low=1)
    num_confirm_prompts: int | None = ranged(low=1)
    max_tokens: int = ranged(low=1)
    seed: int = ranged(low=0)
    temperature: float = ranged(low=0.0)
    options: dict = field(default_factory=dict)


@dataclass(frozen=True)
class LoadSettings:
    """`passes` over the prompts in a trial, `confirm_passes` in the confirmation.

    What follows `slo` describes the load, each kind by some of it: `workloads.load.Load` has the meanings.
    """

    name: str
    kind: str = one_of(*KINDS)
    passes: int = ranged(low=1)
    confirm_passes: int = ranged(low=1)
    slo: Slo = field(default_factory=Slo)
    concurrency: int | None = ranged(low=1, default=None)
    rate: float | None = None
    burstiness: float | None = None
    seed: int | None = None
    path: str | None = None
    speed: float | None = None
    rate_start: float | None = None
    rate_end: float | None = None
    rates: list | None = None


@dataclass(frozen=True)
class ObjectiveSettings:
    """`metric` is the one number, or the first of `metrics`; what follows is of several, and null for one."""

    name: str
    metric: str
    metrics: list | None = None
    rule: str | None = field(default=None, metadata={"choices": ("first", "balanced")})
    may_lose: float | None = ranged(low=0.0, high=0.99, default=None)
    weights: list | None = None


@dataclass(frozen=True)
class StudySettings:
    name: str | None
    storage: str | None
    resume: str = one_of("auto", "always", "never")
    n_trials: int = ranged(low=1)
    startup_trials: int = ranged(low=1)
    seed: int = ranged(low=0)
    prune_alpha: float = ranged(low=0.0, high=0.5)
    prune_min_units: int = ranged(low=5)
    confidence: float = ranged(low=0.5, high=0.999)
    resamples: int = ranged(low=100)
    call_limit: float = ranged(low=0.1)
    load_limit: float = ranged(low=1.0)
    max_failures: int = ranged(low=1)
    heartbeat_interval: int = ranged(low=1, default=30)
    grace_period: int = ranged(low=2, default=120)
    model: bool = True
    kind: str = field(default="search", metadata={"choices": ("search", "schedule")})
    batch_sizes: list | None = None
    num_speculative_tokens: list | None = None
    context_lengths: list | None = None
    context_weights: list | None = None
    precision: float | None = ranged(low=0.0001, default=None)
    max_passes: int = ranged(low=1, default=4)
    budget_minutes: float | None = ranged(low=0.01, default=None)
    patience: int | None = ranged(low=1, default=None)
    tie_margin: float = ranged(low=0.0, high=0.5, default=0.01)
    finalists: int = ranged(low=1, high=3, default=3)
    max_drift: float | None = ranged(low=0.01, default=0.3)
    max_repeats: int = ranged(low=0, default=1)
    knob_visits: int = ranged(low=0, default=2)


@dataclass(frozen=True)
class EngineSettings:
    """`options` go to the loader as they are, beside the model and the speculative config."""

    name: str
    loader: str
    options: Mapping[str, Any]


@dataclass(frozen=True)
class TrackingSettings:
    name: str
    uri: str | None
    experiment: str
    timeout: float = ranged(low=0.1)
    system_metrics: bool = True


@dataclass(frozen=True)
class Settings:
    """Everything of one run. `search` is the top-level block of the command line.

    Where several methods are searched they stand in `methods`, and `method` has their common name and no drafts.
    `left_out` are the methods of conf/method/auto.yaml for which the model has no draft.
    Where several workloads are measured they stand in `workloads`, weighed by `mix`; `workload` has their common name.
    """

    model: ModelSettings
    method: MethodSettings
    workload: WorkloadSettings
    load: LoadSettings
    objective: ObjectiveSettings
    study: StudySettings
    engine: EngineSettings
    tracking: TrackingSettings
    search: Mapping[str, Any]
    outputs: str
    methods: tuple[MethodSettings, ...] = ()
    left_out: tuple[str, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    workloads: tuple[WorkloadSettings, ...] = ()
    mix: Mix | None = None

    @property
    def all_methods(self) -> tuple[MethodSettings, ...]:
        """Those that are searched, the simplest first; of most studies the one method."""
        return self.methods or (self.method,)

    def method_of(self, parameters: Mapping[str, Any]) -> MethodSettings:
        """The method that a configuration drafts with. Of several and without a choice it is none: `method` itself."""
        chosen = parameters.get("method")
        return next((method for method in self.methods if method.name == chosen), self.method)

    @property
    def replays(self) -> bool:
        """Whether recorded responses stand for a model."""
        return self.model.kind == "recording"

    @property
    def has_random_weights(self) -> bool:
        return self.model.kind == "dummy"
