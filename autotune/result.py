"""What a run concludes: the content of best.json and of the last line on stdout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

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


@dataclass(frozen=True)
class Result:
    """`speedup` and `interval` come from held-out prompts; `confirmed` says that the interval lies above 1.

    `measurement` says what they are of: "measured" time, time "predicted" from step costs, or, "replayed" without any
    clock, tokens per target pass. `warm_requests` responses were in the method's cache before every run.
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
    metrics: Mapping[str, Any]
    baseline: Mapping[str, Any]
    trials: Mapping[str, int]
    outputs: str
    environment: Mapping[str, Any]
    measurement: str
    warm_requests: int
    details: Mapping[str, Any] = field(default_factory=dict)

    def line(self) -> dict[str, Any]:
        """The object of the last line."""
        return {
            "schema": SCHEMA,
            "command": self.command,
            "model": self.model,
            "method": self.method,
            "workload": self.workload,
            "measurement": self.measurement,
            "warm_requests": self.warm_requests,
            "parameters": dict(self.parameters),
            "speedup": rounded(self.speedup),
            "speedup_ci": [rounded(bound) for bound in self.interval] if self.interval else None,
            "confirmed": self.confirmed,
            "lossless": self.lossless,
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
    """The metrics that a script wants."""
    tpot = metrics.get("tpot_ms") or {}
    return {
        "tpot_ms": {"p50": rounded(tpot.get("p50")), "p95": rounded(tpot.get("p95"))},
        **{name: rounded(metrics.get(name)) for name in LINE_METRICS},
    }


def rounded(value: Any) -> Any:
    """Six significant digits: a measurement has no more."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, list | tuple):
        return [rounded(entry) for entry in value]
    return value
