"""Where n-grams of a growing text occurred before: the earliest place, and from the latest place back.

A step indexes the new tokens only and visits a bounded number of occurrences, so its cost does not grow with the text.
"""

from collections.abc import Iterator, Sequence
from itertools import islice

NONE = -1


class Occurrences:
    """Every n-gram for n from `low` to `high`. An occurrence is named by the position after it."""

    def __init__(self, low: int, high: int):
        self._sizes = range(low, high + 1)
        self._tables = [_Table() for _ in self._sizes]
        self._indexed = 0  # n-grams ending at positions below this are in the index

    def continuations(self, tokens: list[int], limit: int, most: int) -> Iterator[Sequence[int]]:
        """Up to `limit` tokens after every occurrence of a suffix of `tokens`: the longest suffix first, of each the
        earliest occurrence and then the `most` latest, latest first. No occurrence twice.
        """
        self._extend(tokens)
        seen: set[int] = set()
        for size, table in zip(reversed(self._sizes), reversed(self._tables), strict=True):
            if size < len(tokens):
                for end in table.ends(tuple(tokens[-size:]), most):
                    if end not in seen:
                        seen.add(end)
                        yield tokens[end : end + limit]

    def _extend(self, tokens: list[int]) -> None:
        """Index every n-gram that ends before the last token: the suffix itself must not match itself."""
        for end in range(self._indexed + 1, len(tokens)):
            for size, table in zip(self._sizes, self._tables, strict=True):
                table.add(tuple(tokens[end - size : end]) if size <= end else None, end)
        self._indexed = max(self._indexed, len(tokens) - 1)


class _Table:
    """Of one n. previous[end] leads from an occurrence to the one before it."""

    def __init__(self) -> None:
        self._first: dict[tuple[int, ...], int] = {}
        self._last: dict[tuple[int, ...], int] = {}
        self._previous = [NONE]  # no n-gram ends at 0

    def add(self, ngram: tuple[int, ...] | None, end: int) -> None:
        """`end` grows by one from call to call; None where the text is still shorter than n."""
        if ngram is None:
            self._previous.append(NONE)
            return
        self._first.setdefault(ngram, end)
        self._previous.append(self._last.get(ngram, NONE))
        self._last[ngram] = end

    def ends(self, ngram: tuple[int, ...], most: int) -> Iterator[int]:
        """The first, then the latest ones."""
        if ngram in self._first:
            yield self._first[ngram]
            yield from islice(self._latest(ngram), most)

    def _latest(self, ngram: tuple[int, ...]) -> Iterator[int]:
        end = self._last[ngram]
        while end != NONE:
            yield end
            end = self._previous[end]
