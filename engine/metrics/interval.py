"""One log line an interval in the words of vLLM, of that interval alone. Silent where nothing was drafted."""

import logging
from collections.abc import Callable

from engine.errors import ConfigError
from engine.speculative_config import OutputLaw
from engine.stats import SpecDecodingStats

logger = logging.getLogger(__name__)


class IntervalLogger:
    """To be ticked after every step; `counters` are read when an interval is over, and must never start anew."""

    def __init__(self, interval: float, counters: Callable[[], SpecDecodingStats], now: float):
        check_interval(interval)
        self._interval, self._counters = interval, counters
        self._since, self._before = now, counters()

    def tick(self, now: float, num_running: int, num_waiting: int, law: OutputLaw) -> None:
        """`now` in seconds of any clock that does not go back; `law` says what acceptance means just now."""
        elapsed = now - self._since
        if elapsed < self._interval:
            return
        counters = self._counters()
        found = counters - self._before
        self._since, self._before = now, counters
        if found.num_drafts:
            marked = "" if law == "target" else f", Acceptance: {law}"
            words = "%s, Running: %d reqs, Waiting: %d reqs%s"
            logger.info(words, line(found, elapsed), num_running, num_waiting, marked)


def line(found: SpecDecodingStats, seconds: float) -> str:
    """What was drafted and accepted in `seconds`; at least one draft."""
    deepest = max(i for i, drafts in enumerate(found.num_draft_tokens_per_pos, 1) if drafts)
    rates = ", ".join(f"{rate or 0.0:.3f}" for rate in found.acceptance_per_position[:deepest])
    return (
        f"SpecDecoding metrics: Mean acceptance length: {found.mean_acceptance_length:.2f}, "
        f"Accepted throughput: {found.num_accepted_tokens / seconds:.2f} tokens/s, "
        f"Drafted throughput: {found.num_draft_tokens / seconds:.2f} tokens/s, "
        f"Accepted: {found.num_accepted_tokens} tokens, Drafted: {found.num_draft_tokens} tokens, "
        f"Per-position acceptance rate: {rates}, "
        f"Avg Draft acceptance rate: {100 * (found.acceptance_rate or 0.0):.1f}%"
    )


def check_interval(interval: object) -> None:
    if isinstance(interval, bool) or not isinstance(interval, int | float) or not interval > 0:
        raise ConfigError(f"log_stats_interval={interval!r} is not allowed: seconds above 0, or null for no log")
