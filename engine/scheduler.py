"""Continuous batching: who computes what in the next step. Knows nothing of drafting.

Running sequences decode in every step. Waiting ones join at step boundaries, first come first served, as slots allow;
their prompts are computed in chunks within the token budget that decoding leaves.
"""

from collections import deque

from engine.errors import ConfigError
from engine.models.kv_cache import KVCache
from engine.sequence import Batch, Sequence


class Scheduler:
    """Holds waiting and running sequences. `max_num_batched_tokens` bounds the prompt tokens of a step."""

    def __init__(self, cache: KVCache, max_num_batched_tokens: int):
        if max_num_batched_tokens < 1:
            raise ConfigError(f"max_num_batched_tokens={max_num_batched_tokens} is not allowed: a count >= 1")
        self._cache = cache
        self._budget = max_num_batched_tokens
        self.waiting: deque[Sequence] = deque()
        self.running: list[Sequence] = []

    @property
    def is_idle(self) -> bool:
        return not self.waiting and not self.running

    def add(self, sequence: Sequence) -> None:
        self.waiting.append(sequence)

    def schedule(self, now: float) -> Batch:
        """Admit what fits, then split the running sequences into decoding and prefilling."""
        self._admit(now)
        decoding = [sequence for sequence in self.running if sequence.is_decoding]
        return Batch(decoding, self._chunks(max(self._budget - len(decoding), 1)))

    def remove(self, sequence: Sequence) -> None:
        """Take out a finished or aborted sequence and free its slot."""
        if sequence in self.running:
            self.running.remove(sequence)
            self._cache.give_back(sequence.slot)
        else:
            self.waiting.remove(sequence)

    def find(self, request_id: str) -> Sequence | None:
        everyone = (*self.running, *self.waiting)
        return next((sequence for sequence in everyone if sequence.request_id == request_id), None)

    def check_integrity(self) -> None:
        self._cache.check_integrity([sequence.slot for sequence in self.running])

    def _admit(self, now: float) -> None:
        admitted = False
        while self.waiting and self._cache.num_free:
            sequence = self.waiting.popleft()
            sequence.slot = self._cache.take_slot()
            sequence.metrics.first_scheduled_time = now
            self.running.append(sequence)
            admitted = True
        if admitted:
            self.running.sort(key=lambda sequence: sequence.slot)

    def _chunks(self, budget: int) -> list[tuple[Sequence, int]]:
        chunks = []
        prefilling = [sequence for sequence in self.running if not sequence.is_decoding]
        for sequence in sorted(prefilling, key=lambda sequence: sequence.metrics.arrival_time):
            if budget <= 0:
                break
            count = min(sequence.num_pending, budget)
            chunks.append((sequence, count))
            budget -= count
        return chunks
