"""What the engine counts. Every rate is derived here from counters; none is stored twice.

Definitions (the field's usual ones, and vLLM's):
    acceptance rate          accepted / drafted tokens
    mean acceptance length   1 + accepted / drafts           (the bonus or recovered token counts once per draft)
    acceptance per position  accepted at position i / drafts that proposed a token there
Accepted tokens are counted before a stop condition trims them. A step without a draft is not a draft: mean acceptance
length alone flatters a window that rarely drafts, so show tokens per target pass beside it.
"""

from dataclasses import dataclass, field


@dataclass(slots=True)
class SpecDecodingStats:
    """Counters of speculative decoding. `num_spec_tokens` is the configured K; the lists have K entries."""

    num_spec_tokens: int
    num_drafts: int = 0
    num_draft_tokens: int = 0
    num_accepted_tokens: int = 0
    num_accepted_tokens_per_pos: list[int] = field(default_factory=list)
    num_draft_tokens_per_pos: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.num_accepted_tokens_per_pos = self.num_accepted_tokens_per_pos or [0] * self.num_spec_tokens
        self.num_draft_tokens_per_pos = self.num_draft_tokens_per_pos or [0] * self.num_spec_tokens

    def observe_draft(self, num_draft_tokens: int, num_accepted_tokens: int) -> None:
        """Count one draft of one sequence."""
        self.num_drafts += 1
        self.num_draft_tokens += num_draft_tokens
        self.num_accepted_tokens += num_accepted_tokens
        for i in range(num_draft_tokens):
            self.num_draft_tokens_per_pos[i] += 1
        for i in range(num_accepted_tokens):
            self.num_accepted_tokens_per_pos[i] += 1

    @property
    def acceptance_rate(self) -> float | None:
        return self.num_accepted_tokens / self.num_draft_tokens if self.num_draft_tokens else None

    @property
    def mean_acceptance_length(self) -> float | None:
        return 1.0 + self.num_accepted_tokens / self.num_drafts if self.num_drafts else None

    @property
    def acceptance_per_position(self) -> list[float | None]:
        pairs = zip(self.num_accepted_tokens_per_pos, self.num_draft_tokens_per_pos, strict=True)
        return [accepted / drafted if drafted else None for accepted, drafted in pairs]


@dataclass(slots=True)
class StepTimings:
    """Where the steps went. Seconds are host clock; `other` is scheduling, commit and detokenization."""

    num_steps: int = 0
    num_target_rows: int = 0
    num_output_tokens: int = 0
    num_decode_passes: int = 0
    num_decode_tokens: int = 0
    draft: float = 0.0
    target: float = 0.0
    verify: float = 0.0
    other: float = 0.0

    @property
    def tokens_per_target_pass(self) -> float | None:
        """Tokens emitted per target pass of one sequence that was decoding (prefill passes left out)."""
        return self.num_decode_tokens / self.num_decode_passes if self.num_decode_passes else None

    def count_step(self, rows: int, draft: float, target: float, verify: float, other: float) -> None:
        self.num_steps += 1
        self.num_target_rows += rows
        self.draft += draft
        self.target += target
        self.verify += verify
        self.other += other

    def count_output(self, tokens: int, decoding: bool) -> None:
        """`tokens` of one sequence; a first token comes from its prompt's pass, not from decoding."""
        self.num_output_tokens += tokens
        if decoding:
            self.num_decode_passes += 1
            self.num_decode_tokens += tokens
