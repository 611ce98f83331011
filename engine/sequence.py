"""One request while it runs, and the batch of a step."""

from dataclasses import dataclass, field
from typing import Literal

from engine.outputs import RequestMetrics, RequestOutput
from engine.sampling_params import SamplingParams

FinishReason = Literal["stop", "length", "abort"]


@dataclass(slots=True, eq=False)
class Sequence:
    """Tokens of a request: prompt, then output. The cache holds positions [0, num_computed)."""

    request_id: str
    tokens: list[int]
    num_prompt_tokens: int
    params: SamplingParams
    seed: int
    max_len: int  # no token beyond this length: the smaller of prompt + max_tokens and max_model_len
    metrics: RequestMetrics
    arrival: int = 0  # a number that grows from request to request
    slot: int = -1  # of the cache; -1 while waiting
    num_computed: int = 0
    finish_reason: FinishReason | None = None
    stop_reason: int | str | None = None
    logprobs: list[dict[int, float]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def output_token_ids(self) -> list[int]:
        return self.tokens[self.num_prompt_tokens :]

    @property
    def num_output_tokens(self) -> int:
        return len(self.tokens) - self.num_prompt_tokens

    @property
    def num_pending(self) -> int:
        """Tokens whose keys and values are not cached yet; one while decoding."""
        return len(self.tokens) - self.num_computed

    @property
    def is_decoding(self) -> bool:
        return self.num_pending == 1 and self.num_output_tokens > 0

    @property
    def max_positions(self) -> int:
        """Cache positions that it may come to need: its very last token is never computed."""
        return self.max_len - 1

    def forget_computed(self) -> None:
        """Lose the cache, not the tokens: prompt and output so far will be computed again, as a prompt is."""
        self.slot, self.num_computed = -1, 0
        self.metrics.num_preemptions += 1

    def output(self, text: str) -> RequestOutput:
        """What the caller gets back at the end."""
        return RequestOutput(
            request_id=self.request_id,
            prompt_token_ids=self.tokens[: self.num_prompt_tokens],
            token_ids=self.output_token_ids,
            text=text,
            finish_reason=self.finish_reason or "abort",
            stop_reason=self.stop_reason,
            logprobs=self.logprobs if self.params.logprobs is not None else None,
            metrics=self.metrics,
        )

    @property
    def draft_room(self) -> int:
        """How many drafted tokens could still be emitted: one place is the target's own."""
        return self.max_len - len(self.tokens) - 1


@dataclass(frozen=True, slots=True)
class Batch:
    """The sequences of one step.

    decoding    have one pending token each and may carry a draft; ordered by slot
    prefilling  pairs (sequence, tokens of its pending ones to compute now): of a prompt, or after a preemption of all
    freed       slots of sequences that were preempted for this step
    """

    decoding: list[Sequence]
    prefilling: list[tuple[Sequence, int]]
    freed: list[int] = field(default_factory=list)

    @property
    def num_prompt_tokens(self) -> int:
        """Tokens of prompts that this step computes."""
        return sum(count for _, count in self.prefilling)

    def advance_prompts(self) -> None:
        """Note that the chunks of this step are in the cache."""
        for sequence, count in self.prefilling:
            sequence.num_computed += count
