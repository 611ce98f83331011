"""How one request wants its tokens chosen. Names and defaults follow vLLM's SamplingParams."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from engine.errors import ConfigError, refuse_unknown


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """Validated once, never changed.

    temperature 0 is greedy. `seed` keys the randomness of a request by (seed, position); None lets the engine draw one.
    `stop` strings end the text before themselves; `stop_token_ids` and the model's EOS stay in `token_ids`.
    num_speculative_tokens is how deep drafts for this request may go: None as the engine drafts, 0 not at all.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logit_bias: Mapping[int, float] | None = None
    stop: str | Sequence[str] | None = None
    stop_token_ids: Sequence[int] | None = None
    min_tokens: int = 0
    max_tokens: int = 16
    ignore_eos: bool = False
    seed: int | None = None
    logprobs: int | None = None
    num_speculative_tokens: int | None = None

    def __post_init__(self) -> None:
        for name, allowed, good in self._rules():
            if not good:
                raise ConfigError(f"sampling parameter {name}={getattr(self, name)!r} is not allowed: {allowed}")

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> "SamplingParams":
        """Build from a plain mapping; an unknown name is refused with the nearest right one."""
        refuse_unknown("sampling parameter", values, [field.name for field in fields(cls)])
        return cls(**values)

    @property
    def is_greedy(self) -> bool:
        return self.temperature == 0.0

    @property
    def has_penalties(self) -> bool:
        return self.repetition_penalty != 1.0 or self.presence_penalty != 0.0 or self.frequency_penalty != 0.0

    @property
    def changes_logits(self) -> bool:
        """Whether anything happens to the logits of this request before the argmax of its scores."""
        return not self.is_greedy or self.has_penalties or bool(self.logit_bias) or self.min_tokens > 0

    @property
    def is_filtered(self) -> bool:
        """Whether it is drawn from a part of the vocabulary."""
        return not self.is_greedy and (self.top_k > 0 or self.top_p < 1 or self.min_p > 0)

    @property
    def is_plain(self) -> bool:
        """Whether the token is the argmax of the logits or a draw, filtered or not, and nothing else is asked for."""
        return not (self.has_penalties or self.logit_bias or self.min_tokens or self.logprobs is not None)

    @property
    def stop_strings(self) -> tuple[str, ...]:
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())

    def _rules(self) -> list[tuple[str, str, bool]]:
        stops = self.stop_strings
        return [
            ("temperature", "a finite number >= 0", _number(self.temperature) and self.temperature >= 0),
            ("top_k", "0 (off), -1 (off) or a count >= 1", isinstance(self.top_k, int) and self.top_k >= -1),
            ("top_p", "in (0, 1]", _number(self.top_p) and 0 < self.top_p <= 1),
            ("min_p", "in [0, 1]", _number(self.min_p) and 0 <= self.min_p <= 1),
            ("repetition_penalty", "> 0", _number(self.repetition_penalty) and self.repetition_penalty > 0),
            ("presence_penalty", "in [-2, 2]", _number(self.presence_penalty) and -2 <= self.presence_penalty <= 2),
            ("frequency_penalty", "in [-2, 2]", _number(self.frequency_penalty) and -2 <= self.frequency_penalty <= 2),
            ("stop", "a non-empty string or several", all(isinstance(s, str) and s for s in stops)),
            ("max_tokens", "a count >= 1", isinstance(self.max_tokens, int) and self.max_tokens >= 1),
            (
                "min_tokens",
                f"a count between 0 and max_tokens={self.max_tokens}",
                isinstance(self.min_tokens, int) and 0 <= self.min_tokens <= self.max_tokens,
            ),
            (
                "logprobs",
                "None or a count from 0 to 20",
                self.logprobs is None or (isinstance(self.logprobs, int) and 0 <= self.logprobs <= 20),
            ),
            (
                "seed",
                "None or a whole number >= 0",
                self.seed is None or (isinstance(self.seed, int) and self.seed >= 0),
            ),
            (
                "num_speculative_tokens",
                "None or a whole number >= 0",
                self.num_speculative_tokens is None or _count(self.num_speculative_tokens),
            ),
        ]


def _count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
