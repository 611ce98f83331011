"""How to speculate: field names and types of vLLM 0.12's SpeculativeConfig. Each method checks its own."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from engine.errors import ConfigError, refuse_unknown

MAX_SPEC_LEN = 128
COMMON_FIELDS = ("method", "model", "num_speculative_tokens", "disable_by_batch_size")


@dataclass(frozen=True, slots=True)
class SpeculativeConfig:
    """Drafting parameters; None means "not given". `engine.proposers.resolve` fills and checks them.

    A field that the method does not read is refused when given, so none is silently without effect.
    """

    method: str | None = None
    num_speculative_tokens: int | None = None
    model: str | None = None
    disable_by_batch_size: int | None = None  # at more running sequences than this no draft is made
    prompt_lookup_max: int | None = None
    prompt_lookup_min: int | None = None
    suffix_decoding_max_tree_depth: int | None = None
    suffix_decoding_max_cached_requests: int | None = None
    suffix_decoding_max_spec_factor: float | None = None
    suffix_decoding_min_token_prob: float | None = None
    speculative_token_tree: str | None = None
    disable_padded_drafter_batch: bool | None = None
    max_model_len: int | None = None
    draft_tensor_parallel_size: int | None = None
    quantization: str | None = None
    enforce_eager: bool | None = None
    revision: str | None = None
    code_revision: str | None = None

    @classmethod
    def from_any(cls, value: "SpeculativeConfig | Mapping[str, Any] | None") -> "SpeculativeConfig":
        """None means no speculation. An unknown field is refused with the nearest right name."""
        if value is None:
            return cls(method="none")
        if isinstance(value, SpeculativeConfig):
            return value
        refuse_unknown("speculative config field", value, [field.name for field in fields(cls)])
        return cls(**value)

    @property
    def given(self) -> dict[str, Any]:
        """The fields that have a value, as a mapping that builds the same config again."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}


def check_count(name: str, value: object, low: int, high: int | None = None, required: bool = False) -> None:
    """Raise unless value is a whole number in [low, high]; None passes when not required."""
    if value is None and not required:
        return
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or value < low or (high is not None and value > high):  # type: ignore[operator]
        allowed = f"a whole number >= {low}" if high is None else f"a whole number from {low} to {high}"
        raise ConfigError(f"{name}={value!r} is not allowed: {allowed}")
