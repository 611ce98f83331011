"""Counters since the engine was loaded. The engine's own start anew with every change of its drafting."""

from dataclasses import dataclass, field
from threading import Lock

from engine.metrics.served import Served
from engine.sequence import Sequence
from engine.stats import SpecDecodingStats, StepTimings


@dataclass(frozen=True, slots=True)
class Reading:
    """Everything that is told of one engine at one moment."""

    model_name: str
    engine: str
    spec: SpecDecodingStats
    prompt_tokens: int
    generation_tokens: int
    served: Served = field(default_factory=Served)
    num_running: int = 0
    num_waiting: int = 0


class Totals:
    """Follows the counters that the engine is using, and keeps the sums of those it has put away.

    Read from other threads while the engine steps; only the change from one set of counters to the next needs a lock.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._spec, self._timing = SpecDecodingStats(0), StepTimings()
        self._past_spec, self._past_prompt, self._past_output = SpecDecodingStats(0), 0, 0
        self.served = Served()

    def follow(self, spec: SpecDecodingStats, timing: StepTimings) -> None:
        """The engine counts in these from now on."""
        with self._lock:
            self._past_spec, self._past_prompt, self._past_output = self._sums()
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
        )

    def spec(self) -> SpecDecodingStats:
        """A copy that stays as it is."""
        return self._read()[0]

    def reading(self, model_name: str, engine: str, num_running: int, num_waiting: int) -> Reading:
        spec, prompt_tokens, generation_tokens = self._read()
        return Reading(
            model_name, engine, spec, prompt_tokens, generation_tokens, self.served, num_running, num_waiting
        )

    def _read(self) -> tuple[SpecDecodingStats, int, int]:
        with self._lock:
            return self._sums()

    def _sums(self) -> tuple[SpecDecodingStats, int, int]:
        timing = self._timing
        prompt, output = self._past_prompt + timing.num_prompt_tokens, self._past_output + timing.num_output_tokens
        return self._past_spec + self._spec, prompt, output
