"""What a finished request carries back."""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any


@dataclass(slots=True)
class RequestMetrics:
    """Times in seconds of `time.perf_counter`; `deliveries` holds (time, tokens) for every step that emitted.

    acceptance_histogram[j] counts the drafts of which j tokens were accepted, j up to the depth of the deepest draft.
    """

    arrival_time: float
    first_scheduled_time: float | None = None
    first_token_time: float | None = None
    finished_time: float | None = None
    deliveries: list[tuple[float, int]] = field(default_factory=list)
    num_drafts: int = 0
    num_draft_tokens: int = 0
    num_accepted_tokens: int = 0
    acceptance_histogram: list[int] = field(default_factory=list)
    num_preemptions: int = 0  # times its cache was given to others and computed anew

    def count_draft(self, drafted: int, accepted: int, depth: int | None = None) -> None:
        """One draft of `drafted` nodes on `depth` levels, by default a chain."""
        self.num_drafts += 1
        self.num_draft_tokens += drafted
        self.num_accepted_tokens += accepted
        most = drafted if depth is None else depth
        self.acceptance_histogram += [0] * (1 + most - len(self.acceptance_histogram))
        self.acceptance_histogram[accepted] += 1

    def speculative_decoding(self) -> dict[str, Any]:
        """The same under the names that vLLM gives in its responses; rates without a draft are None."""
        return {
            "mean_acceptance_length": self.mean_acceptance_length,
            "draft_acceptance_rate": self.draft_acceptance_rate,
            "acceptance_histogram": list(self.acceptance_histogram),
            "num_spec_steps": self.num_drafts,
            "num_accepted_draft_tokens": self.num_accepted_tokens,
            "num_draft_tokens": self.num_draft_tokens,
        }

    def deliver(self, now: float, count: int) -> None:
        self.deliveries.append((now, count))
        if self.first_token_time is None:
            self.first_token_time = now

    @property
    def mean_acceptance_length(self) -> float | None:
        """1 + accepted / drafts; None without a draft."""
        return 1.0 + self.num_accepted_tokens / self.num_drafts if self.num_drafts else None

    @property
    def draft_acceptance_rate(self) -> float | None:
        """accepted / drafted tokens; None without a draft."""
        return self.num_accepted_tokens / self.num_draft_tokens if self.num_draft_tokens else None

    @property
    def queue_time(self) -> float | None:
        """Arrival to the first step."""
        return None if self.first_scheduled_time is None else self.first_scheduled_time - self.arrival_time

    @property
    def gaps(self) -> list[float]:
        """Times between deliveries."""
        return [later - earlier for (earlier, _), (later, _) in pairwise(self.deliveries)]

    @property
    def ttft(self) -> float | None:
        """Time to first token, queueing included."""
        return None if self.first_token_time is None else self.first_token_time - self.arrival_time

    @property
    def e2e(self) -> float | None:
        return None if self.finished_time is None else self.finished_time - self.arrival_time

    @property
    def tpot(self) -> float | None:
        """Time per output token after the first: (E2E - TTFT) / (n - 1); None below two tokens."""
        tokens = sum(count for _, count in self.deliveries)
        if self.finished_time is None or self.first_token_time is None or tokens < 2:
            return None
        return (self.finished_time - self.first_token_time) / (tokens - 1)


@dataclass(frozen=True, slots=True)
class RequestOutput:
    """`logprobs`, when asked for, holds per emitted token {token id: log-probability under the raw model}."""

    request_id: str
    prompt_token_ids: list[int]
    token_ids: list[int]
    text: str
    finish_reason: str  # "stop" | "length" | "abort"
    stop_reason: int | str | None
    logprobs: list[dict[int, float]] | None
    metrics: RequestMetrics
