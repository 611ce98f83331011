"""Suffix decoding's cost per token while the shared tree grows to its limit.

    python -m benchmarks.suffix_cpu [cached requests]

Prints microseconds of processor time per token: of taking whole responses up in bulk, and, over 200 requests that are
served at every size, of taking tokens up two by two and of drafting after each two, at 1, 10 and 100 % of the cached
requests; at 100 % every new request evicts an old one. Hold it against a step of the target: 800 us on models/tiny.
Processor time, because what else the machine does is no part of it.
"""

import random
import resource
import sys
import time
from statistics import mean, median
from typing import Any

from benchmarks.timing import finish, table
from engine.proposers.suffix import SuffixCache

RESPONSE = 128
DRAFTED = 8
SERVED = 200


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


def bulk(cache: SuffixCache, texts: list[list[int]], begin: int) -> float:
    """Microseconds per token of taking up whole responses."""
    start = time.process_time()
    for number, text in enumerate(texts, begin):
        cache.remember(f"r{number}", text)
    return (time.process_time() - start) / (RESPONSE * len(texts)) * 1e6


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
    stages = [limit // 100, limit // 10, limit]
    texts, cache = responses(limit + SERVED * len(stages)), SuffixCache(24, limit, 1.0, 0.1)
    held, rows, results = 0, [], {}
    for stage in stages:
        in_bulk = bulk(cache, texts[held:stage], held)
        costs = [serve(cache, f"r{i}", texts[i]) for i in range(stage, stage + SERVED)]
        observing, drafting = ([cost[i] for cost in costs] for i in (0, 1))
        found: dict[str, Any] = {
            "bulk_us": in_bulk,
            "observe_us": median(observing),
            "observe_mean_us": mean(observing),
            "draft_us": median(drafting),
            "resident_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }
        rows.append([stage, *found.values()])
        results[stage], held = found, stage + SERVED
    header = ["cached requests", "bulk", "observe", "observe, mean", "draft", "resident MB"]
    table("suffix decoding, microseconds a token", header, rows)
    finish("suffix_cpu", {"cached_requests": limit, "per_token": results})


if __name__ == "__main__":
    main()
