"""What a schedule is made of: which batch sizes and draft lengths are measured, checked before anything is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from autotune.errors import UsageError
from autotune.inputs import Inputs
from autotune.schedule.choose import default_batches
from autotune.settings import Settings
from autotune.study.naming import is_shared

TOKENS = "method.num_speculative_tokens"
BUCKETS = "method.num_speculative_tokens_per_batch_size"
OTHERS = (
    "speculative_token_tree",
    "dynamic_tree_topk",
    "num_speculative_tokens_per_batch_size",
    "disable_by_batch_size",
)


CONTEXT = "context_length"


@dataclass(frozen=True)
class Cell:
    """One number of requests in flight, at one length of the context; None: the prompts as they are."""

    batch: int
    context: int | None = None

    @property
    def name(self) -> str:
        return f"batch-{self.batch}" if self.context is None else f"context-{self.context}-batch-{self.batch}"

    @property
    def parameters(self) -> dict[str, int]:
        context = {} if self.context is None else {CONTEXT: self.context}
        return {**context, "load.concurrency": self.batch}


@dataclass(frozen=True)
class Plan:
    """`tokens` begin with 0, no speculation; `batches` rise. `weights` of the contexts sum to 1."""

    batches: tuple[int, ...]
    tokens: tuple[int, ...]
    contexts: tuple[int | None, ...] = (None,)
    weights: tuple[float, ...] = (1.0,)

    @property
    def cells(self) -> list[Cell]:
        """Smaller batches first, and all contexts of one together."""
        return [Cell(batch, context) for batch in self.batches for context in self.contexts]

    def to_json(self) -> dict[str, list[Any]]:
        """What decides which cells are measured."""
        return {"batches": list(self.batches), "tokens": list(self.tokens), "contexts": list(self.contexts)}


def plan_of(settings: Settings) -> Plan:
    """UsageError for what has no schedule."""
    config = settings.method.speculative_config
    if settings.methods or config is None:
        raise UsageError(f"method {settings.method.name} has no schedule; study=schedule needs one method that drafts")
    if settings.load.kind != "closed_loop":
        raise UsageError(
            f"load is {settings.load.kind}, but study=schedule sets the number of requests in flight itself; "
            "add load=closed_loop"
        )
    if is_shared(settings.study.storage or "sqlite"):
        raise UsageError(
            "study=schedule is made by one process; study.storage must be null or the URL of a file such as "
            "sqlite:///study.db"
        )
    if settings.constraints:
        raise UsageError("study=schedule knows no constraints; take them away, or search with another study")
    if settings.load.passes < 2 or settings.load.confirm_passes < 2:
        raise UsageError("study=schedule needs load.passes and load.confirm_passes of at least 2; one has no interval")
    for name in OTHERS:
        if config.get(name) is not None:
            raise UsageError(f"method.{name} is set, but study=schedule finds the draft lengths itself; set it to null")
    most = int(settings.engine.options.get("max_num_seqs") or 1)
    given = settings.study.batch_sizes
    batches = default_batches(most) if given is None else _counts("study.batch_sizes", given, 1)
    tokens = _counts("study.num_speculative_tokens", settings.study.num_speculative_tokens, 1)
    if batches[-1] > most:
        raise UsageError(f"study.batch_sizes ends with {batches[-1]}, more than engine.max_num_seqs={most}")
    contexts, weights = _contexts(settings)
    return Plan(tuple(batches), (0, *tokens), contexts, weights)


def _contexts(settings: Settings) -> tuple[tuple[int | None, ...], tuple[float, ...]]:
    """Lengths, and what each counts for."""
    given, weights = settings.study.context_lengths, settings.study.context_weights
    if given is None:
        if weights is not None:
            raise UsageError("study.context_weights is set, but study.context_lengths is null; give both or neither")
        return (None,), (1.0,)
    lengths = _counts("study.context_lengths", given, 2)
    if len(lengths) != len(given):
        raise UsageError(f"study.context_lengths is {given}; every length may stand there once")
    most, needed = settings.engine.options.get("max_model_len"), lengths[-1] + settings.workload.max_tokens
    if isinstance(most, int) and needed > most:
        raise UsageError(
            f"study.context_lengths ends with {lengths[-1]}, with workload.max_tokens={settings.workload.max_tokens} "
            f"more than engine.max_model_len={most}; use shorter contexts or a larger engine.max_model_len"
        )
    shares = [1.0] * len(given) if weights is None else weights
    if len(shares) != len(given) or not all(_is_share(share) for share in shares):
        raise UsageError(
            f"study.context_weights is {weights}; it must be a list of positive numbers, one for each of "
            f"study.context_lengths={given}"
        )
    by_length = sorted(zip(given, shares, strict=True))
    return tuple(length for length, _ in by_length), tuple(share / sum(shares) for _, share in by_length)


def _is_share(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def check_prompts(plan: Plan, inputs: Inputs) -> None:
    for split, count in inputs.counts.items():
        if count < plan.batches[-1]:
            raise UsageError(
                f"the {split} split has {count} prompts, fewer than the {plan.batches[-1]} that are to run at once; "
                "raise workload.num_prompts and workload.num_confirm_prompts, or lower engine.max_num_seqs"
            )


def at_once(settings: Settings, most: int) -> Settings:
    """The settings with `most` requests in flight."""
    return replace(settings, load=replace(settings.load, concurrency=most))


def _counts(name: str, values: object, low: int) -> list[int]:
    right = isinstance(values, Sequence) and not isinstance(values, str) and len(values) > 0
    if not right or not all(isinstance(v, int) and not isinstance(v, bool) and v >= low for v in values):  # type: ignore[attr-defined]
        raise UsageError(
            f"{name} is {values!r}; it must be a list of whole numbers of at least {low}, such as [1, 2, 4]"
        )
    return sorted(set(values))  # type: ignore[call-overload]
