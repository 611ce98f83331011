"""Continuous batching: who computes what in the next step. Knows nothing of drafting.

Running sequences decode in every step. Waiting ones join at step boundaries, first come first served, as slots and
cache positions allow; their prompts are computed in chunks within the token budget that decoding leaves. Where those
that run outgrow the cache, the latest goes back to the front of the queue and is computed anew when there is room.
"""

from collections import deque
from collections.abc import Callable
from collections.abc import Sequence as Sequences

from engine.blocks import BLOCK, Budget, blocks
from engine.errors import ConfigError
from engine.models.kv_cache import KVCache
from engine.sequence import Batch, Sequence


class Scheduler:
    """Holds waiting and running sequences. `max_num_batched_tokens` bounds the prompt tokens of a step."""

    def __init__(self, cache: KVCache, max_num_batched_tokens: int, budget: Budget):
        if max_num_batched_tokens < 1:
            raise ConfigError(f"max_num_batched_tokens={max_num_batched_tokens} is not allowed: a count >= 1")
        self._cache = cache
        self._max_batched = max_num_batched_tokens
        self._budget = budget
        self.waiting: deque[Sequence] = deque()
        self.running: list[Sequence] = []

    @property
    def is_idle(self) -> bool:
        return not self.waiting and not self.running

    @property
    def num_blocks_used(self) -> int:
        """Blocks of the running sequences' tokens, the pending ones included; drafts not."""
        return sum(blocks(len(sequence)) for sequence in self.running)

    @property
    def usage(self) -> float:
        """The share of cache positions in use."""
        return self.num_blocks_used / self._budget.num_blocks

    @property
    def progress(self) -> int:
        """Of how far every running sequence is, and with which token."""
        return hash(tuple((s.slot, s.num_computed, len(s), s.tokens[-1]) for s in self.running))

    def add(self, sequence: Sequence) -> None:
        self.waiting.append(sequence)

    def schedule(self, now: float) -> Batch:
        """Make room, admit what fits, then split the running sequences into decoding and prefilling."""
        freed = self._preempt()
        if not freed:
            self._admit(now)
        decoding = [sequence for sequence in self.running if sequence.is_decoding]
        return Batch(decoding, self._chunks(max(self._max_batched - len(decoding), 1)), freed)

    def cut(self, sequences: Sequences[Sequence], limits: Sequences[int], rows: Callable[[int], int]) -> list[int]:
        """Draft limits lowered until the drafts fit beside all running sequences; who came first is served first.

        rows(limit) is how many cache positions a draft of that limit takes.
        """
        if not self._budget.is_limited:
            return list(limits)
        free, cut = self._budget.num_blocks - self.num_blocks_used, list(limits)
        for i in sorted(range(len(sequences)), key=lambda i: sequences[i].arrival):
            length = len(sequences[i])
            while cut[i] > 0 and blocks(length + rows(cut[i])) - blocks(length) > free:
                cut[i] -= 1
            free -= blocks(length + rows(cut[i])) - blocks(length) if cut[i] > 0 else 0
        return cut

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

    def _preempt(self) -> list[int]:
        """Send back the last that arrived until the others fit; the slots that became free."""
        freed = []
        while self.num_blocks_used > self._budget.num_blocks:
            last = max(self.running, key=lambda sequence: sequence.arrival)
            freed.append(last.slot)
            self.remove(last)
            last.forget_computed()
            self.waiting.appendleft(last)
        return freed

    def _admit(self, now: float) -> None:
        admitted = False
        while self.waiting and self._cache.num_free and self._fits(self.waiting[0]):
            sequence = self.waiting.popleft()
            sequence.slot = self._cache.take_slot()
            if sequence.metrics.first_scheduled_time is None:
                sequence.metrics.first_scheduled_time = now
            self.running.append(sequence)
            admitted = True
        if admitted:
            self.running.sort(key=lambda sequence: sequence.slot)

    def _fits(self, sequence: Sequence) -> bool:
        """Whether there is room for its tokens and a block more, which keeps it from being sent back at once."""
        positions = min(len(sequence) + BLOCK, sequence.max_positions)
        return self.num_blocks_used + blocks(positions) <= self._budget.num_blocks

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
