"""num_speculative_tokens_per_batch_size: how many tokens to draft at which number of running sequences."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from engine.errors import ConfigError

NAME = "num_speculative_tokens_per_batch_size"


class Range(NamedTuple):
    """From `first` to `last` running sequences, both included, at most `num_speculative_tokens` are drafted."""

    first: int
    last: int
    num_speculative_tokens: int


class Schedule:
    """Batch sizes between ranges, and beyond the last, keep what the range before them says."""

    def __init__(self, ranges: Sequence[tuple[int, int, int]]):
        self._firsts = [first for first, _, _ in ranges]
        self._tokens = [tokens for _, _, tokens in ranges]

    def tokens_at(self, batch_size: int) -> int:
        return self._tokens[bisect_right(self._firsts, batch_size) - 1]


def parse(value: object) -> tuple[Range, ...]:
    """Ranges from lists or tuples of three whole numbers; ConfigError for what is not sorted, complete or >= 0."""
    if isinstance(value, str) or not isinstance(value, Sequence) or not value:
        raise _error(value, "a list of [first, last, num_speculative_tokens], such as [[1, 4, 5], [5, 64, 2]]")
    ranges = tuple(_range(each) for each in value)
    if ranges[0].first != 1:
        raise _error(value, f"the first range begins at {ranges[0].first}, it must begin at batch size 1")
    for before, after in pairwise(ranges):
        if after.first <= before.last:
            raise _error(value, f"the range from {after.first} must begin after {before.last}, where the last one ends")
    return ranges


def _range(value: object) -> Range:
    whole = isinstance(value, Sequence) and all(isinstance(n, int) and not isinstance(n, bool) for n in value)
    if not isinstance(value, Sequence) or not whole or len(value) != 3:
        raise _error(value, "a range is three whole numbers, [first, last, num_speculative_tokens]")
    first, last, tokens = value
    if not 1 <= first <= last or tokens < 0:
        raise _error(value, "a range needs 1 <= first <= last, and num_speculative_tokens >= 0")
    return Range(first, last, tokens)


def _error(value: object, allowed: str) -> ConfigError:
    return ConfigError(f"{NAME}={value!r} is not allowed: {allowed}")
