"""What a schedule is made of: which batch sizes and draft lengths are measured, checked before anything is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from autotune.errors import UsageError
from autotune.inputs import Inputs
from autotune.schedule.choose import default_batches
from autotune.settings import Settings

TOKENS = "method.num_speculative_tokens"
BUCKETS = "method.num_speculative_tokens_per_batch_size"
OTHERS = (
    "speculative_token_tree",
    "dynamic_tree_topk",
    "num_speculative_tokens_per_batch_size",
    "disable_by_batch_size",
)


@dataclass(frozen=True)
class Plan:
    """`tokens` begin with 0, no speculation; `batches` rise."""

    batches: tuple[int, ...]
    tokens: tuple[int, ...]


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
    return Plan(tuple(batches), (0, *tokens))


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
