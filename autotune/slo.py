"""Service level objectives: the times within which a request counts as served well."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from autotune.samples import RequestSample


@dataclass(frozen=True)
class Slo:
    """Milliseconds that must not be exceeded, null for no limit. vLLM's `--goodput` calls them ttft, tpot, e2el."""

    ttft_ms: float | None = field(default=None, metadata={"low": 0.0})
    tpot_ms: float | None = field(default=None, metadata={"low": 0.0})
    e2e_ms: float | None = field(default=None, metadata={"low": 0.0})

    @property
    def given(self) -> dict[str, float]:
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: value for name, value in values.items() if value is not None}

    def met_by(self, request: RequestSample) -> bool:
        """Whether a request kept every limit; an answer of one token has no time per token to exceed."""
        times = {"ttft_ms": request.ttft, "tpot_ms": request.tpot, "e2e_ms": request.e2e}
        kept = [(times[name], limit) for name, limit in self.given.items()]
        return all(seconds is None or 1e3 * seconds <= limit for seconds, limit in kept)
