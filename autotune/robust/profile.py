"""What a method's steps brought and cost, unit by unit, and what they would bring at another acceptance.

A pass with drafts costs c passes without and brings tau tokens, a pass without brings one, so the method gains
while tau > c. Let the acceptance of every position, given that the ones before it were accepted, be x times what was
measured; of a tree, that of every node given its parent. A path of i accepted tokens is then x^i times as frequent,
and with A_i the drafts that were accepted up to depth i and P the passes

    tau(x) = 1 + (A_1 x + A_2 x^2 + ...) / P

For one acceptance a at every position this is equation (1) of Leviathan, Kalman and Matias (2023), "Fast inference from
transformers via speculative decoding", and tau > c the condition behind their theorem 3.8. What a pass costs does not
depend on what is accepted in it; passes that made no draft stay in both numbers. Where lower acceptance would also
make a method draft less often, or the online controller draft less, the truth lies lower than what comes out here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from autotune.metrics import counters_of
from autotune.samples import BASELINE, ArmRun, Counters, UnitResult
from autotune.stats import Values
from engine.step_stats import BatchSteps


@dataclass(frozen=True)
class Profile:
    """One unit: its passes with the method, drafted tokens, drafts with a token at each depth and drafts accepted up
    to there, and `faster`, the time of the baseline's passes over that of the method's.
    """

    passes: int
    tokens: int
    drafted: tuple[int, ...]
    accepted: tuple[int, ...]
    faster: float

    def accepted_at(self, scale: Values) -> Values:
        """Tokens accepted where acceptance is `scale` times as high, at most certain."""
        total, scaled = np.zeros_like(scale), np.ones_like(scale)
        drafts_before, accepted_before = 1, 1
        for drafts, accepted in zip(self.drafted, self.accepted, strict=True):
            reached = accepted_before * drafts / drafts_before if drafts_before else 0.0
            rate = accepted / reached if reached else 0.0
            share = drafts / drafts_before if drafts_before else 0.0
            scaled = scaled * share * np.minimum(max(1.0, rate), scale * rate)
            total = total + scaled
            drafts_before, accepted_before = drafts, accepted
        return total

    def tokens_per_pass(self, scale: Values) -> Values:
        return 1 + self.accepted_at(scale) / self.passes

    @property
    def cost(self) -> float:
        """Of a pass, in passes without speculation."""
        return float(self.tokens_per_pass(np.ones(1))[0]) / self.faster

    def gain(self, scale: Values) -> Values:
        """The log of how much faster decoding is."""
        return np.log(self.tokens_per_pass(scale) / self.cost)


def profiles(results: Sequence[UnitResult], arm: str) -> dict[str, Profile]:
    """By unit, repeats together; without the units in which one of the arms decoded nothing or nothing was drafted."""
    visits: dict[str, list[UnitResult]] = {}
    for result in results:
        visits.setdefault(result.unit, []).append(result)
    found = {unit: _profile(each, arm) for unit, each in visits.items()}
    return {unit: each for unit, each in found.items() if each is not None}


def _profile(visits: Sequence[UnitResult], arm: str) -> Profile | None:
    base, mine = ([visit.runs[name] for visit in visits] for name in (BASELINE, arm))
    counts, plain, with_drafts = counters_of(mine), decoding(base), decoding(mine)
    if not plain or not with_drafts or not counts.decode_passes:
        return None
    return Profile(counts.decode_passes, counts.draft_tokens, *_depths(counts), plain / with_drafts)


def _depths(counts: Counters) -> tuple[tuple[int, ...], tuple[int, ...]]:
    size = min(len(counts.drafted_per_pos), len(counts.accepted_per_pos))
    return counts.drafted_per_pos[:size], counts.accepted_per_pos[:size]


def decoding(runs: Sequence[ArmRun]) -> float:
    """Time in which requests made their tokens after the first, in seconds; of a replay the cost of its passes.

    Where many requests decode together it is the time of their steps, which all of them spend; a step with a chunk of a
    prompt in it counts as one of its batch size without.
    """
    if any(run.cost is not None for run in runs):
        return sum(run.cost or 0.0 for run in runs)
    if any(run.steps_by_batch for run in runs):
        return sum(_of_steps(run.steps_by_batch) for run in runs)
    return sum(request.tpot * (request.tokens - 1) for run in runs for request in run.requests if request.tpot)


def _of_steps(by_batch: Mapping[int, BatchSteps]) -> float:
    timed = sum(steps.steps - steps.prompt_steps for batch, steps in by_batch.items() if batch)
    usual = sum(steps.seconds for batch, steps in by_batch.items() if batch) / timed if timed else 0.0
    return sum(batch * steps.steps * (steps.mean or usual) for batch, steps in by_batch.items())
