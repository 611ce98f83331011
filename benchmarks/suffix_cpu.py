"""Suffix decoding's cost per token while the shared tree grows to its limit.

    python -m benchmarks.suffix_cpu [cached requests]

Prints microseconds per token of taking tokens up and of drafting, at 1, 10 and 100 % of the cached requests and while
every new request evicts an old one. Hold it against a step of the target: 800 us on models/tiny.
"""

import random
import sys
import time
from statistics import median

from benchmarks.timing import finish, table
from engine.proposers.suffix import SuffixCache

RESPONSE = 128
DRAFTED = 8


def responses(count: int) -> list[list[int]]:
    """Texts made of common phrases and rare words, so that suffixes branch as in real answers."""
    rng = random.Random(0)
    phrases = [[rng.randrange(3000) for _ in range(rng.randint(3, 9))] for _ in range(4000)]
    made = []
    for _ in range(count):
        text: list[int] = []
        while len(text) < RESPONSE:
            text += rng.choice(phrases) if rng.random() < 0.7 else [rng.randrange(3000)]
        made.append(text[:RESPONSE])
    return made


def serve(cache: SuffixCache, name: str, text: list[int]) -> tuple[float, float]:
    """Microseconds per token of observing and of drafting, over one request."""
    observing = drafting = 0.0
    for end in range(2, RESPONSE, 2):
        begin = time.process_time()
        cache.observe(name, text[:end], 1)
        middle = time.process_time()
        cache.draft(name, DRAFTED)
        observing += middle - begin
        drafting += time.process_time() - middle
    cache.close(name)
    return observing / RESPONSE * 1e6, drafting / RESPONSE * 1e6


def main() -> None:
    limit = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    cache, texts, rows, results = SuffixCache(24, limit, 1.0, 0.1), responses(limit + limit // 20), [], {}
    for stage in (limit // 100, limit // 10, limit, limit + limit // 20):
        begin = len(rows) and rows[-1][0]
        costs = [serve(cache, f"r{i}", texts[i]) for i in range(begin, stage)][-200:]
        observing, drafting = (median(cost[i] for cost in costs) for i in (0, 1))
        rows.append([stage, observing, drafting])
        results[stage] = {"observe_us": observing, "draft_us": drafting}
    table("suffix decoding, microseconds a token", ["requests so far", "observe", "draft"], rows)
    finish("suffix_cpu", {"cached_requests": limit, "per_token": results})


if __name__ == "__main__":
    main()
