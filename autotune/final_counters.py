"""The counters of a run in Prometheus' text format: what a scrape at its end would tell, arm by arm.

Only runs that count are in it: no warm-up, and of two passes over the same prompts the quicker one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from autotune.samples import BASELINE, ArmRun, Counters, RequestSample, UnitResult
from engine.metrics.served import Served
from engine.metrics.totals import Counts, Drafting, Reading
from engine.stats import SpecDecodingStats


@dataclass
class Tally:
    """The runs of one arm, added up."""

    counters: Counters = field(default_factory=Counters)
    prompt_tokens: int = 0
    tokens: int = 0
    preemptions: int = 0
    served: Served = field(default_factory=Served)

    def add(self, run: ArmRun) -> None:
        self.counters += run.counters
        for request in run.requests:
            self.prompt_tokens += request.prompt_tokens
            self.tokens += request.tokens
            self.preemptions += request.preemptions
            self._count(request)

    def _count(self, request: RequestSample) -> None:
        self.served.count(
            request.finish_reason,
            prompt_tokens=request.prompt_tokens,
            tokens=request.tokens,
            ttft=request.ttft,
            e2e=request.e2e,
            tpot=request.tpot,
            queue=request.queue,
            gaps=request.gaps,
            preemptions=request.preemptions,
        )

    def reading(self, model_name: str, arm: str, drafting: Drafting) -> Reading:
        counts = self.counters
        spec = SpecDecodingStats(
            len(counts.drafted_per_pos),
            counts.drafts,
            counts.draft_tokens,
            counts.accepted_tokens,
            list(counts.accepted_per_pos),
            list(counts.drafted_per_pos),
        )
        sums = Counts(spec, self.prompt_tokens, self.tokens, self.preemptions)
        return Reading(model_name, arm, sums, self.served, drafting)


class FinalCounters:
    """Every arm is an `engine` of its own, as the label of that name says."""

    def __init__(self) -> None:
        self._arms: dict[str, Tally] = {}

    def add(self, results: Iterable[UnitResult]) -> None:
        for result in results:
            for arm, run in result.runs.items():
                self._arms.setdefault(arm, Tally()).add(run)

    def text(self, model_name: str, drafting: Drafting) -> str:
        """`drafting` is what the arms other than the baseline have in common."""
        from engine.metrics.families import text

        own = {BASELINE: Drafting()}
        return text([tally.reading(model_name, arm, own.get(arm, drafting)) for arm, tally in self._arms.items()])
