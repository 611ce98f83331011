"""The online controller: a request whose drafts are rejected drafts less, and a full cache stops drafting.

Per request, an exponential moving average of the accepted share of a draft's depth. Below adaptive_low_acceptance the
depth falls by one, above adaptive_high_acceptance it rises by one, and after either adaptive_window drafts must be seen
before the next change. At depth 0 one token is drafted every adaptive_probe_interval steps; an accepted one leads back.

Nothing but a request's own history decides on its depth, and nothing but the cache's use on the cutoff.
"""

from dataclasses import dataclass
from typing import TypeVar

from engine.speculative_config import SpeculativeConfig

T = TypeVar("T")


@dataclass(slots=True)
class ControlStats:
    """Decisions of the controller. `batch_cutoff`: at more running sequences than this no draft is made now."""

    batch_cutoff: int
    num_shortened: int = 0
    num_lengthened: int = 0
    num_probes: int = 0
    num_cutoff_lowered: int = 0
    num_cutoff_raised: int = 0


@dataclass(slots=True)
class Pace:
    """One request: the depth of its drafts, the moving average, drafts since the last change, steps since a probe."""

    depth: int
    acceptance: float | None = None
    num_seen: int = 0
    num_waited: int = 0


class Adaptive:
    """`most` is the greatest depth; `cutoff` the batch size above which drafting stops with an empty cache."""

    def __init__(self, config: SpeculativeConfig, most: int, cutoff: int):
        self._low, self._high = _given(config.adaptive_low_acceptance), _given(config.adaptive_high_acceptance)
        self._window, self._probe_interval = _given(config.adaptive_window), _given(config.adaptive_probe_interval)
        self._memory_threshold = _given(config.adaptive_memory_threshold)
        self._least, self._most, self._cutoff = min(_given(config.adaptive_min_tokens), most), most, cutoff
        self._paces: dict[str, Pace] = {}
        self.stats = ControlStats(cutoff)

    @property
    def num_requests(self) -> int:
        """How many requests it keeps an average of."""
        return len(self._paces)

    def cutoff(self, kv_usage: float, num_running: int) -> int:
        """The batch cutoff of this step: below what runs while too much of the cache is used, then one more a step."""
        stats = self.stats
        if kv_usage > self._memory_threshold:
            lower = max(1, min(stats.batch_cutoff, num_running) - 1)
            stats.num_cutoff_lowered += lower < stats.batch_cutoff
            stats.batch_cutoff = min(stats.batch_cutoff, lower)
        elif stats.batch_cutoff < self._cutoff:
            stats.batch_cutoff += 1
            stats.num_cutoff_raised += 1
        return stats.batch_cutoff

    def depth(self, request_id: str) -> int:
        """How deep this request's next draft may go."""
        pace = self._paces.setdefault(request_id, Pace(self._most))
        if pace.depth:
            return pace.depth
        pace.num_waited += 1
        if pace.num_waited < self._probe_interval:
            return 0
        pace.num_waited = 0
        self.stats.num_probes += 1
        return 1

    def observe(self, request_id: str, depth: int, accepted: int) -> None:
        """A draft of `depth` levels of which `accepted` passed."""
        pace = self._paces.get(request_id)
        if pace is None or not depth:
            return
        share = accepted / depth
        before = pace.acceptance
        pace.acceptance = share if before is None else before + (share - before) * 2 / (self._window + 1)
        pace.num_seen += 1
        if pace.depth == 0 or pace.num_seen >= self._window:
            self._decide(pace)

    def forget(self, request_id: str) -> None:
        self._paces.pop(request_id, None)

    def _decide(self, pace: Pace) -> None:
        assert pace.acceptance is not None
        if pace.acceptance < self._low and pace.depth > self._least:
            pace.depth -= 1
            self.stats.num_shortened += 1
        elif pace.acceptance > self._high and pace.depth < self._most:
            pace.depth += 1
            self.stats.num_lengthened += 1
        elif pace.depth:
            return
        pace.num_seen = 0
        if pace.depth == 0:
            pace.acceptance = None  # a probe is judged by itself, not by what led here


def _given(value: T | None) -> T:
    assert value is not None, "filled in by complete_control"
    return value
