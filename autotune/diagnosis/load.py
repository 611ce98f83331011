"""Rules about many requests at once: where speculation stops paying, and where memory runs out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autotune.console.words import labelled
from autotune.diagnosis.finding import Finding
from autotune.diagnosis.seen import Seen

STEPS = 20  # of a batch size and arm, fewer say nothing of their mean
SLOWER = 0.97  # below this is not noise of a mean over so many steps
SMALLEST_CUTOFF = 2  # that the config's disable_by_batch_size allows


def crossover(seen: Seen) -> Finding | None:
    """From a batch size on, a step with drafts brings fewer tokens a second than one without."""
    gains = {size: gain for size, base, mine in seen.batches if (gain := _gain(base, mine)) is not None}
    losing = _last_run(gains)
    if not losing:
        return None
    cutoff = min(losing) - 1
    listed = ", ".join(f"{labelled(gains[size], seen.output_law)} at {size}" for size in losing)
    says = (
        f"Past the crossover: with {min(losing)} or more requests decoding, steps with drafts bring fewer tokens a "
        f"second than steps without ({listed})."
    )
    if cutoff < SMALLEST_CUTOFF:
        says += " This load has next to no smaller batches, so speculation has nothing to win on it."
        change = seen.command("method=none", module="autotune.bench")
    else:
        change = seen.command(f"method.disable_by_batch_size={cutoff}")
    return Finding("crossover", says, {"gain_by_batch": gains, "cutoff": cutoff}, change)


def _gain(base: Mapping[str, Any], mine: Mapping[str, Any]) -> float | None:
    """Tokens per second of steps with drafts over steps without; None where there are too few, or no drafts."""
    if not mine.get("draft_tokens") or min(base.get("steps") or 0, mine.get("steps") or 0) < STEPS:
        return None
    speeds = [(arm.get("tokens_per_step") or 0) / (arm.get("mean_ms") or float("inf")) for arm in (base, mine)]
    return speeds[1] / speeds[0] if all(speeds) else None


def _last_run(gains: Mapping[int, float]) -> list[int]:
    """The sizes from which on all lose."""
    losing: list[int] = []
    for size in sorted(gains, reverse=True):
        if gains[size] >= SLOWER:
            break
        losing.insert(0, size)
    return losing


def little_memory(seen: Seen) -> Finding | None:
    """Requests computed anew, drafts cut, configurations that did not fit."""
    preempted = seen.metrics.get("num_preemptions") or 0
    before = seen.baseline.get("num_preemptions") or 0
    cut, unfit = seen.metrics.get("num_drafts_cut") or 0, seen.trials.get("infeasible") or 0
    parts = [
        f"{preempted} times a running request made room and was computed anew ({before} without speculation)"
        if preempted else "",
        f"{cut} drafts were cut for want of room" if cut else "",
        f"{unfit} of the configurations tried did not fit or broke a limit" if unfit else "",
    ]  # fmt: skip
    if not any(parts):
        return None
    says = f"Memory is short: {'; '.join(filter(None, parts))}. Fewer requests at once, or more room for the cache."
    numbers = {"preemptions": preempted, "preemptions_without": before, "drafts_cut": cut, "infeasible": unfit}
    return Finding("little_memory", says, numbers, seen.command(_more_room(seen)))


def _more_room(seen: Seen) -> str:
    tokens = seen.engine.get("kv_cache_tokens")
    if isinstance(tokens, int):
        return f"engine.kv_cache_tokens={2 * tokens}"
    return f"engine.max_num_seqs={max(1, int(seen.engine.get('max_num_seqs') or 2) // 2)}"
