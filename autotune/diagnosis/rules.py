"""The table of rules, in the order in which their findings are read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from autotune.diagnosis import cost, drafting, load, verdict
from autotune.diagnosis.finding import Finding
from autotune.diagnosis.seen import Seen, seen_in
from autotune.result import Result
from autotune.settings import Settings
from autotune.trial import Trial

Rule = Callable[[Seen], Finding | None]
RULES: tuple[Rule, ...] = (
    cost.account,
    drafting.first_position,
    drafting.sampled_requests,
    drafting.few_drafts,
    drafting.too_long,
    drafting.too_short,
    cost.slow_draft,
    cost.dear_rows,
    load.crossover,
    load.little_memory,
    cost.slow_baseline,
    cost.fixed_threads,
    verdict.tie,
    verdict.noise,
)


def diagnose(seen: Seen) -> list[Finding]:
    """What every rule found that found something."""
    return [finding for rule in RULES if (finding := rule(seen)) is not None]


def explained(result: Result, settings: Settings, trials: Sequence[Trial]) -> Result:
    """The result with its diagnosis among the details."""
    found = [finding.to_json() for finding in diagnose(seen_in(result, settings, trials))]
    return replace(result, details={**result.details, "diagnosis": found})
