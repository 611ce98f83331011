"""What a run concludes: the content of best.json and of the last line on stdout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from autotune.measurement import TARGET, Measurement, measurement
from autotune.metrics import BATCHES

SCHEMA = 1
LINE_METRICS = (
    "output_tokens_per_s",
    "acceptance_rate",
    "mean_acceptance_length",
    "tokens_per_target_pass",
    "acceptance_per_position",
    "num_drafts",
    "num_draft_tokens",
    "num_accepted_tokens",
)
LOAD_TIMES = ("ttft_ms", "e2e_ms", "queue_ms")
LOAD_METRICS = ("requests_per_s", "offered_requests_per_s", "goodput", "slo_share")


@dataclass(frozen=True)
class Result:
    """`speedup` and `interval` come from held-out prompts; `confirmed` says that the interval lies above 1.

    `output_law` says whose law the answers have: the "target"'s own, one near it ("lossy"), or none ("synthetic");
    only the first is lossless, and a synthetic number is never confirmed.
    `measurement` says what they are of: "measured" time, time "predicted" from step costs, or, "replayed" without any
    clock, tokens per target pass. `warm_requests` responses were in the method's cache before every run.
    `method` is the one that won, where several were searched.
    `details` explains: how the interval was made, the search's own number, the runner-up, notes to the reader.
    """

    command: str
    model: str
    method: str
    workload: str
    parameters: Mapping[str, Any]
    speculative_config: Mapping[str, Any] | None
    speedup: float | None
    interval: tuple[float, float] | None
    confirmed: bool
    lossless: bool
    output_law: str
    metrics: Mapping[str, Any]
    baseline: Mapping[str, Any]
    trials: Mapping[str, int]
    outputs: str
    environment: Mapping[str, Any]
    measurement: str
    warm_requests: int
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def said(self) -> Measurement:
        """The words for the factor."""
        return measurement(self.measurement, self.details.get("objective", ""), self.output_law)

    @property
    def as_wanted(self) -> bool:
        """Whether there is a number, and the answers are what such a configuration promises."""
        return self.speedup is not None and (self.lossless or self.output_law != TARGET)

    def line(self) -> dict[str, Any]:
        """The object of the last line."""
        return {
            "schema": SCHEMA,
            "command": self.command,
            "model": self.model,
            "method": self.method,
            "searched": self.details.get("space", {}).get("searched", self.method),
            "workload": self.workload,
            "measurement": self.measurement,
            "warm_requests": self.warm_requests,
            "parameters": dict(self.parameters),
            "speedup": rounded(self.speedup),
            "speedup_ci": [rounded(bound) for bound in self.interval] if self.interval else None,
            "confirmed": self.confirmed,
            "lossless": self.lossless,
            "output_law": self.output_law,
            "metrics": line_metrics(self.metrics),
            "baseline": line_metrics(self.baseline),
            "trials": dict(self.trials),
            "outputs": self.outputs,
            "environment": dict(self.environment),
        }

    def best(self) -> dict[str, Any]:
        """The object of best.json: the line, and everything behind it."""
        return {
            **self.line(),
            "speculative_config": dict(self.speculative_config) if self.speculative_config is not None else None,
            "all_metrics": dict(self.metrics),
            "all_baseline": dict(self.baseline),
            "details": dict(self.details),
        }


def line_metrics(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The metrics that a script wants; more of them where many requests were served at once."""
    times = ("tpot_ms", *(LOAD_TIMES if BATCHES in metrics else ()))
    names = (*LINE_METRICS, *(LOAD_METRICS if BATCHES in metrics else ()))
    return {
        **{name: {level: rounded((metrics.get(name) or {}).get(level)) for level in ("p50", "p95")} for name in times},
        **{name: rounded(metrics.get(name)) for name in names},
    }


def rounded(value: Any) -> Any:
    """Six significant digits: a measurement has no more."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, list | tuple):
        return [rounded(entry) for entry in value]
    return value
