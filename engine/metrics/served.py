"""Requests that have ended: how, how long they took, how large they were."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from engine.metrics import histogram
from engine.metrics.histogram import Histogram
from engine.outputs import RequestMetrics

REASONS = ("stop", "length", "abort")


class Shape(NamedTuple):
    """A histogram over requests: what it is of, and its bounds."""

    help: str
    bounds: Sequence[float]


SHAPES = {
    "time_to_first_token_seconds": Shape("Arrival to first token.", histogram.TIME_TO_FIRST_TOKEN),
    "inter_token_latency_seconds": Shape(
        "Time between deliveries of a request; one carries several tokens where drafts were accepted.",
        histogram.INTER_TOKEN_LATENCY,
    ),
    "request_time_per_output_token_seconds": Shape(
        "First to last token, by the tokens after the first.", histogram.INTER_TOKEN_LATENCY
    ),
    "e2e_request_latency_seconds": Shape("Arrival to last token.", histogram.REQUEST_LATENCY),
    "request_queue_time_seconds": Shape("Arrival to the first step of a request.", histogram.REQUEST_LATENCY),
    "request_prefill_time_seconds": Shape("First step of a request to its first token.", histogram.REQUEST_LATENCY),
    "request_decode_time_seconds": Shape("First token to last token.", histogram.REQUEST_LATENCY),
    "request_inference_time_seconds": Shape("First step of a request to its last token.", histogram.REQUEST_LATENCY),
    "request_prompt_tokens": Shape("Tokens of a prompt.", histogram.TOKENS),
    "request_generation_tokens": Shape("Tokens of an answer.", histogram.TOKENS),
}


@dataclass(slots=True)
class Served:
    """Counts since the engine was loaded. Aborted requests are counted as such and are in no histogram."""

    reasons: Counter[str] = field(default_factory=Counter)
    histograms: dict[str, Histogram] = field(
        default_factory=lambda: {name: Histogram(shape.bounds) for name, shape in SHAPES.items()}
    )

    def count(self, reason: str, metrics: RequestMetrics, prompt_tokens: int, tokens: int) -> None:
        """One request that has ended; `metrics` has all its times then, unless it was aborted."""
        self.reasons[reason] += 1
        if reason == "abort":
            return
        self.observe("request_prompt_tokens", prompt_tokens)
        self.observe("request_generation_tokens", tokens)
        self.observe("time_to_first_token_seconds", metrics.ttft)
        self.observe("e2e_request_latency_seconds", metrics.e2e)
        self.observe("request_time_per_output_token_seconds", metrics.tpot)
        self._phases(metrics)
        for (earlier, _), (later, _) in pairwise(metrics.deliveries):
            self.observe("inter_token_latency_seconds", later - earlier)

    def _phases(self, metrics: RequestMetrics) -> None:
        began, first, end = metrics.first_scheduled_time, metrics.first_token_time, metrics.finished_time
        if began is None or first is None or end is None:
            return
        self.observe("request_queue_time_seconds", began - metrics.arrival_time)
        self.observe("request_prefill_time_seconds", first - began)
        self.observe("request_decode_time_seconds", end - first)
        self.observe("request_inference_time_seconds", end - began)

    def observe(self, name: str, value: float | None) -> None:
        """A value into the histogram `name`; None is a value that there is not."""
        if value is not None:
            self.histograms[name].observe(value)
