"""What bounds the next drafts: the engine asks once a step."""

from collections.abc import Sequence as Sequences

from engine.control.adaptive import Adaptive, ControlStats
from engine.control.schedule import Schedule
from engine.draft import Draft, Verification
from engine.sequence import Sequence
from engine.speculative_config import SpeculativeConfig


class Control:
    """Made from a resolved config; `max_num_seqs` is the most that can run."""

    def __init__(self, config: SpeculativeConfig, max_num_seqs: int):
        self._most = config.num_speculative_tokens or 0
        self._cutoff = config.disable_by_batch_size or max_num_seqs
        ranges = config.num_speculative_tokens_per_batch_size
        self._schedule = Schedule(ranges) if ranges else None
        self._adaptive = Adaptive(config, self._most, self._cutoff) if config.adaptive else None

    @property
    def stats(self) -> ControlStats:
        """The controller's decisions; without one the configured cutoff and zeros."""
        return self._adaptive.stats if self._adaptive else ControlStats(self._cutoff)

    @property
    def num_requests(self) -> int:
        """Requests of which something is kept: none once all have finished."""
        return self._adaptive.num_requests if self._adaptive else 0

    def limits(self, sequences: Sequences[Sequence], num_running: int, kv_usage: float) -> list[int]:
        """The most levels that each sequence may draft now; `kv_usage` is the share of cache positions in use."""
        cutoff = self._adaptive.cutoff(kv_usage, num_running) if self._adaptive else self._cutoff
        if num_running > cutoff:
            return [0] * len(sequences)
        most = self._most
        if self._schedule:
            most = min(most, self._schedule.tokens_at(num_running))
        return [self._limit(sequence, most) for sequence in sequences]

    def observe(self, sequences: Sequences[Sequence], draft: Draft, verification: Verification) -> None:
        """Take up what was accepted of the drafts of decoding sequences."""
        if self._adaptive is None:
            return
        for sequence, shape, accepted in zip(sequences, draft.shapes, verification.num_accepted, strict=False):
            self._adaptive.observe(sequence.request_id, shape.depth, accepted)

    def stop(self, sequence: Sequence) -> None:
        """A sequence has finished or was aborted."""
        if self._adaptive:
            self._adaptive.forget(sequence.request_id)

    def _limit(self, sequence: Sequence, most: int) -> int:
        wish = sequence.params.num_speculative_tokens
        limit = min(most, sequence.draft_room, most if wish is None else wish)
        return min(limit, self._adaptive.depth(sequence.request_id)) if self._adaptive and limit > 0 else limit
