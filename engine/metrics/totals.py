"""Counters since the engine was loaded. The engine's own start anew with every change of its drafting."""

from dataclasses import dataclass
from threading import Lock
from typing import NamedTuple

from engine.metrics.served import Served
from engine.sequence import Sequence
from engine.stats import SpecDecodingStats, StepTimings


class Drafting(NamedTuple):
    """By which method, and whose law the output has: target, lossy or synthetic."""

    method: str = "none"
    output_law: str = "target"


class Counts(NamedTuple):
    """What only grows."""

    spec: SpecDecodingStats
    prompt_tokens: int
    generation_tokens: int
    num_preemptions: int


@dataclass(frozen=True, slots=True)
class Reading:
    """Everything that is told of one engine at one moment; `drafting` is as it is just then."""

    model_name: str
    engine: str
    counts: Counts
    served: Served
    drafting: Drafting
    num_running: int = 0
    num_waiting: int = 0
    kv_cache_usage: float = 0.0


class Totals:
    """Follows the counters that the engine is using, and keeps the sums of those it has put away.

    Read from other threads while the engine steps; only the change from one set of counters to the next needs a lock.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._spec, self._timing = SpecDecodingStats(0), StepTimings()
        self._past = Counts(SpecDecodingStats(0), 0, 0, 0)
        self.served = Served()

    def follow(self, spec: SpecDecodingStats, timing: StepTimings) -> None:
        """The engine counts in these from now on."""
        with self._lock:
            self._past = self._sums()
            self._spec, self._timing = spec, timing

    def count_request(self, sequence: Sequence) -> None:
        """A request that has ended."""
        metrics = sequence.metrics
        self.served.count(
            sequence.finish_reason,
            prompt_tokens=sequence.num_prompt_tokens,
            tokens=sequence.num_output_tokens,
            ttft=metrics.ttft,
            e2e=metrics.e2e,
            tpot=metrics.tpot,
            queue=metrics.queue_time,
            gaps=metrics.gaps,
            preemptions=metrics.num_preemptions,
        )

    def counts(self) -> Counts:
        """A copy that stays as it is."""
        with self._lock:
            return self._sums()

    def spec(self) -> SpecDecodingStats:
        return self.counts().spec

    def reading(
        self,
        model_name: str,
        engine: str,
        drafting: Drafting,
        num_running: int,
        num_waiting: int,
        kv_cache_usage: float,
    ) -> Reading:
        now = (drafting, num_running, num_waiting, kv_cache_usage)
        return Reading(model_name, engine, self.counts(), self.served, *now)

    def _sums(self) -> Counts:
        past, timing = self._past, self._timing
        return Counts(
            past.spec + self._spec,
            past.prompt_tokens + timing.num_prompt_tokens,
            past.generation_tokens + timing.num_output_tokens,
            past.num_preemptions + timing.num_preemptions,
        )
