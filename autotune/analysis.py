"""From unit results to conclusions: gains per unit, intervals, and the losslessness verdict."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from autotune.measurement import TARGET
from autotune.metrics import ObjectiveMetric
from autotune.samples import BASELINE, NEAR_TIE, UnitResult
from autotune.settings import StudySettings
from autotune.stats import Interval, interval

Gains = dict[str, list[float]]
TOKENS_PER_NEAR_TIE = 100_000


@dataclass(frozen=True)
class Verdict:
    """Whether an arm's answers were the baseline's.

    In fp32, more near ties than one, or one in 100,000 tokens, are no ties. Half precision has real ties often
    (`ties_are_rare` is False), so there they are only counted.

    Where `output_law` says that the answers need not be the target's, differences are no failure, but then nothing is
    lossless either, even if no answer happened to differ: `differing` of `answers` did.
    """

    compared_tokens: int
    near_ties: int
    unexcused: tuple[str, ...]
    ties_are_rare: bool = True
    output_law: str = TARGET
    answers: int = 0
    differing: int = 0

    @property
    def lossless(self) -> bool:
        return self.output_law == TARGET and self._equal

    @property
    def _equal(self) -> bool:
        allowed = max(1, self.compared_tokens // TOKENS_PER_NEAR_TIE)
        return not self.unexcused and (self.near_ties <= allowed or not self.ties_are_rare)

    @property
    def reason(self) -> str:
        """Why it is not what it was to be; empty if it is."""
        if self.output_law != TARGET:
            return ""
        if self.unexcused:
            more = f" and {len(self.unexcused) - 1} more" if len(self.unexcused) > 1 else ""
            return f"differs from the baseline: {self.unexcused[0]}{more}"
        return (
            ""
            if self._equal
            else f"{self.near_ties} near ties in {self.compared_tokens} tokens are too many to be ties"
        )

    def to_json(self) -> dict[str, Any]:
        return {"lossless": self.lossless, "output_law": self.output_law, "compared_tokens": self.compared_tokens,
                "near_ties": self.near_ties, "answers": self.answers, "differing_answers": self.differing,
                "divergences": list(self.unexcused[:20])}  # fmt: skip


def gain(base: float | None, other: float | None, metric: ObjectiveMetric) -> float | None:
    """The log-ratio by which `other` is better than `base`; None where one of them has no value."""
    if not base or not other:
        return None
    return math.log(base / other) if metric.better == "lower" else math.log(other / base)


def gains(results: Iterable[UnitResult], arm: str, metric: ObjectiveMetric, against: str = BASELINE) -> Gains:
    """Per unit the gain of every repeat; a unit without a value (an answer of one token) is left out."""
    found: Gains = {}
    for result in results:
        value = gain(metric.value([result.runs[against]]), metric.value([result.runs[arm]]), metric)
        if value is not None:
            found.setdefault(result.unit, []).append(value)
    return found


def pooled(parts: Sequence[Gains]) -> Gains:
    """The repeats of several measurements of one configuration, unit by unit."""
    found: Gains = {}
    for part in parts:
        for unit, values in part.items():
            found.setdefault(unit, []).extend(values)
    return found


def means(measured: Gains) -> dict[str, float]:
    return {unit: sum(values) / len(values) for unit, values in measured.items()}


def paired(ours: Gains, theirs: Gains) -> Gains:
    """By how much our mean lies above theirs, on every unit that both have."""
    own, other = means(ours), means(theirs)
    return {unit: [own[unit] - other[unit]] for unit in own if unit in other}


def interval_of(measured: Gains, study: StudySettings) -> Interval:
    return interval(list(measured.values()), confidence=study.confidence, resamples=study.resamples, seed=study.seed)


def interruptions(results: Sequence[UnitResult]) -> str:
    """How many measurements were thrown away because something outside had interrupted them; empty if none was."""
    count = sum(result.discarded for result in results)
    return f"{count} of {count + len(results)} measurements were interrupted from outside and repeated" if count else ""


def verdict(results: Iterable[UnitResult], arm: str, output_law: str = TARGET) -> Verdict:
    """The verdict on one arm over all its answers. A near tie met again when a prompt is repeated is the same tie, and
    an answer to a repeated prompt the same answer.

    A replay (its runs have a cost) takes the recorded responses as they are and compares nothing.
    """
    compared, rare = 0, True
    ties: set[tuple[str, int]] = set()
    failures: list[str] = []
    answers: set[str] = set()
    differing: set[str] = set()
    for result in results:
        run = result.runs[arm]
        compared += sum(request.tokens for request in run.requests) if run.cost is None else 0
        answers |= {request.request_id for request in run.requests}
        for divergence in result.divergences:
            if divergence.arm == arm and divergence.excused:
                ties.add((divergence.request_id, divergence.position))
                rare = rare and divergence.tolerance <= NEAR_TIE
            elif divergence.arm == arm:
                failures.append(str(divergence))
                differing.add(divergence.request_id)
    return Verdict(compared, len(ties), tuple(failures), rare, output_law, len(answers), len(differing))
