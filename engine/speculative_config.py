"""How to speculate: the fields of vLLM 0.12's SpeculativeConfig, by the same names and of the same types."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args

from engine.draft_config import DraftModelConfig, DraftParallelConfig, Quantization
from engine.errors import ConfigError, refuse_unknown
from engine.tree.token_tree import TokenTree

MAX_SPEC_LEN = 128
# How deep drafts go under load (engine/control); all but the schedule, which is vLLM's, are ours.
CONTROL_FIELDS = (
    "num_speculative_tokens_per_batch_size",
    "adaptive",
    "adaptive_low_acceptance",
    "adaptive_high_acceptance",
    "adaptive_window",
    "adaptive_min_tokens",
    "adaptive_probe_interval",
    "adaptive_memory_threshold",
)
COMMON_FIELDS = ("method", "num_speculative_tokens", "disable_by_batch_size", *CONTROL_FIELDS)
# What every method reads that has weights of its own.
DRAFT_FIELDS = (
    "model",
    "revision",
    "code_revision",
    "max_model_len",
    "draft_tensor_parallel_size",
    "quantization",
    "enforce_eager",
)
# What every method reads that drafts: how its drafts are verified (engine/verification.py).
VERIFY_FIELDS = (
    "rejection_sample_method",
    "synthetic_acceptance_rates",
    "synthetic_acceptance_length",
    "posterior_threshold",
    "posterior_alpha",
)
DraftSampleMethod = Literal["greedy", "probabilistic", "coupled"]
AuxLayerConvention = Literal["boundary", "output"]
RejectionSampleMethod = Literal["standard", "block", "typical", "synthetic"]
OutputLaw = Literal["target", "lossy", "synthetic"]


@dataclass(frozen=True, slots=True)
class SpeculativeConfig:
    """Drafting parameters; None means "not given". `engine.proposers.resolve` fills and checks them.

    A field that the method does not read is refused when given, so none is silently without effect.
    """

    method: str | None = None
    num_speculative_tokens: int | None = None
    model: str | None = None  # folder of the draft's checkpoint
    disable_by_batch_size: int | None = None  # at more running sequences than this no draft is made
    # [first, last, tokens] by running sequences; vLLM's after 0.12
    num_speculative_tokens_per_batch_size: Sequence[tuple[int, int, int]] | None = None
    adaptive: bool | None = None  # ours, as the fields below: draft less where little is accepted
    adaptive_low_acceptance: float | None = None  # moving average of accepted / drafted depth that shortens drafts
    adaptive_high_acceptance: float | None = None  # and the one that lengthens them
    adaptive_window: int | None = None  # drafts in the average, and between two changes
    adaptive_min_tokens: int | None = None  # never shorter than this
    adaptive_probe_interval: int | None = None  # steps between probes of a request that drafts no more
    adaptive_memory_threshold: float | None = None  # share of cache positions in use that lowers the batch cutoff
    prompt_lookup_max: int | None = None
    prompt_lookup_min: int | None = None
    suffix_decoding_max_tree_depth: int | None = None
    suffix_decoding_max_cached_requests: int | None = None
    suffix_decoding_max_spec_factor: float | None = None
    suffix_decoding_min_token_prob: float | None = None
    speculative_token_tree: str | None = None
    dynamic_tree_topk: int | None = (
        None  # children a node and nodes a level of a tree that grows with the draft's doubt
    )
    dynamic_tree_num_draft_tokens: int | None = None  # nodes that are verified, the root not among them
    rejection_sample_method: RejectionSampleMethod | None = None
    synthetic_acceptance_rates: Sequence[float] | None = None  # per position, unconditional
    synthetic_acceptance_length: float | None = None  # the mean, the bonus token counted
    posterior_threshold: float | None = None  # of typical acceptance
    posterior_alpha: float | None = None
    disable_padded_drafter_batch: bool | None = None
    draft_sample_method: DraftSampleMethod | None = None
    aux_layer_convention: AuxLayerConvention | None = None  # what the ids of eagle3's aux layers count; ours
    max_model_len: int | None = None  # longest sequence that is drafted for
    draft_tensor_parallel_size: int | None = None
    quantization: Quantization | None = None  # of the draft's matrices: fp8, int8, int4
    enforce_eager: bool | None = None
    revision: str | None = None
    code_revision: str | None = None
    # Made by `resolve`, never given: the draft as it will run.
    draft_model_config: DraftModelConfig | None = field(default=None, compare=False, repr=False)
    draft_parallel_config: DraftParallelConfig | None = field(default=None, compare=False, repr=False)

    @classmethod
    def from_any(cls, value: "SpeculativeConfig | Mapping[str, Any] | None") -> "SpeculativeConfig":
        """None means no speculation. An unknown field is refused with the nearest right name."""
        if value is None:
            return cls(method="none")
        if isinstance(value, SpeculativeConfig):
            return value
        refuse_unknown("speculative config field", value, field_names())
        return cls(**value)

    @property
    def given(self) -> dict[str, Any]:
        """The fields that have a value, as a mapping that builds the same config again."""
        values = {name: getattr(self, name) for name in field_names()}
        return {name: value for name, value in values.items() if value is not None}

    @property
    def output_law(self) -> OutputLaw:
        """Whose law the emitted tokens have: the target's, one near it (lossy), or none (synthetic)."""
        laws: dict[str | None, OutputLaw] = {"typical": "lossy", "synthetic": "synthetic"}
        return laws.get(self.rejection_sample_method, "target")

    @property
    def token_tree(self) -> TokenTree | None:
        """The static tree that is drafted; None for chains."""
        text, depth = self.speculative_token_tree, self.num_speculative_tokens
        return TokenTree.parse(text, depth or MAX_SPEC_LEN) if text is not None else None

    def use_eagle(self) -> bool:
        """Whether the draft reads the target's hidden states position by position, as EAGLE does."""
        return self.method in ("eagle", "eagle3", "mtp")

    def compute_hash(self) -> str:
        """Equal for configs that leave the target's own computation alike: only eagle3 taps layers inside of it."""
        return hashlib.md5(str([self.method == "eagle3"]).encode(), usedforsecurity=False).hexdigest()


def field_names() -> list[str]:
    """The fields that may be given."""
    return [each.name for each in fields(SpeculativeConfig) if each.compare]


def check_parameters(config: SpeculativeConfig) -> None:
    """Types and ranges of the fields that are not one method's own."""
    for name in ("method", "model", "quantization", "revision", "code_revision", "speculative_token_tree"):
        _check_kind(name, getattr(config, name), str, "text")
    for name in ("disable_padded_drafter_batch", "enforce_eager"):
        _check_kind(name, getattr(config, name), bool, "true or false")
    check_choice("quantization", config.quantization, get_args(Quantization))
    check_choice("draft_sample_method", config.draft_sample_method, get_args(DraftSampleMethod))
    check_choice("rejection_sample_method", config.rejection_sample_method, get_args(RejectionSampleMethod))
    check_choice("aux_layer_convention", config.aux_layer_convention, get_args(AuxLayerConvention))
    check_count("disable_by_batch_size", config.disable_by_batch_size, 2)
    check_count("max_model_len", config.max_model_len, 1)
    check_count("draft_tensor_parallel_size", config.draft_tensor_parallel_size, 1)
    _refuse_without_effect(config)


def check_count(name: str, value: object, low: int, high: int | None = None, required: bool = False) -> None:
    """Raise unless value is a whole number in [low, high]; None passes when not required."""
    if value is None and not required:
        return
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or value < low or (high is not None and value > high):  # type: ignore[operator]
        allowed = f"a whole number >= {low}" if high is None else f"a whole number from {low} to {high}"
        raise ConfigError(f"{name}={value!r} is not allowed: {allowed}")


def check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    """Raise unless value is None or one of `choices`."""
    if value is not None and value not in choices:
        raise ConfigError(f"{name}={value!r} is not allowed: {', '.join(choices)}")


def _check_kind(name: str, value: object, kind: type, words: str) -> None:
    if value is not None and not isinstance(value, kind):
        raise ConfigError(f"{name}={value!r} is not allowed: {words}")


def _refuse_without_effect(config: SpeculativeConfig) -> None:
    """Wishes that vLLM grants and this engine cannot; ignoring them would pass for granting them."""
    if config.code_revision is not None:
        raise ConfigError("code_revision is not allowed: no code of a checkpoint is ever run; leave it out")
    if config.revision is not None:
        raise ConfigError(
            f"revision={config.revision!r} is not allowed: model is a folder here; give the folder of that revision"
        )
