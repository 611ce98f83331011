"""Requests that have ended: how, how long they took, how large they were."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from engine.metrics import histogram
from engine.metrics.histogram import Histogram

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
    "request_num_preemptions": Shape("Times that a request made room for others.", histogram.PREEMPTIONS),
}


@dataclass(slots=True)
class Served:
    """Counts since the engine was loaded. Aborted requests are counted as such and are in no histogram."""

    reasons: Counter[str] = field(default_factory=Counter)
    histograms: dict[str, Histogram] = field(
        default_factory=lambda: {name: Histogram(shape.bounds) for name, shape in SHAPES.items()}
    )

    def count(
        self,
        reason: str | None,
        *,
        prompt_tokens: int,
        tokens: int,
        ttft: float | None,
        e2e: float | None,
        tpot: float | None,
        queue: float | None,
        gaps: Iterable[float],
        preemptions: int,
    ) -> None:
        """One request that has ended, in seconds and tokens; `reason` None: nobody knows why."""
        if reason is not None:
            self.reasons[reason] += 1
        if reason == "abort":
            return
        self.observe("request_prompt_tokens", prompt_tokens)
        self.observe("request_generation_tokens", tokens)
        self.observe("request_num_preemptions", preemptions)
        self.observe("time_to_first_token_seconds", ttft)
        self.observe("e2e_request_latency_seconds", e2e)
        self.observe("request_time_per_output_token_seconds", tpot)
        self.observe("request_queue_time_seconds", queue)
        self.observe("request_prefill_time_seconds", _between(queue, ttft))
        self.observe("request_decode_time_seconds", _between(ttft, e2e))
        self.observe("request_inference_time_seconds", _between(queue, e2e))
        for gap in gaps:
            self.observe("inter_token_latency_seconds", gap)

    def observe(self, name: str, value: float | None) -> None:
        """A value into the histogram `name`; None is a value that there is not."""
        if value is not None:
            self.histograms[name].observe(value)


def _between(earlier: float | None, later: float | None) -> float | None:
    return None if earlier is None or later is None else later - earlier
