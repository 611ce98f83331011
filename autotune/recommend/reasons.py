"""Why a method stands where it stands, a sentence each, from the tables and the question."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from autotune.recommend.choose import Question, Suggestion


def reasons(asked: Question, found: Suggestion) -> tuple[str, ...]:
    parts = (_expected, _remaining, _wanted, _draft, _memory)
    return tuple(sentence for part in parts for sentence in part(asked, found))


def _expected(asked: Question, found: Suggestion) -> Iterator[str]:
    yield f"{found.rule.because}"
    yield f"{span(found.alone)} on {asked.text} text, one greedy request at a time ({found.rule.source})"


def _remaining(asked: Question, found: Suggestion) -> Iterator[str]:
    sampled = asked.settings.workload.temperature > 0
    why = [f"{asked.requests} requests at once"] if asked.requests > 1 else []
    why += ["sampling"] if sampled else []
    if why and found.remains != (1.0, 1.0):
        yield f"{span(found.remains)} of that remains with {' and '.join(why)}"
    if asked.requests > 1 and found.middle < 1:
        yield "past the crossover at this load: no drafts above the batch size where a gain is still expected"


def _wanted(asked: Question, found: Suggestion) -> Iterator[str]:
    wanted = asked.guide.target_speedup
    if wanted is None:
        return
    low, high = found.expected
    if low >= wanted:
        yield f"reaches the {wanted:g} that are wanted"
    elif high >= wanted:
        yield f"reaches the {wanted:g} that are wanted at best"
    else:
        yield f"stays below the {wanted:g} that are wanted"


def _draft(asked: Question, found: Suggestion) -> Iterator[str]:
    if found.rule.draft:
        yield f"drafts with {found.draft}" if found.draft else "its modules are in the model itself"


def _memory(asked: Question, found: Suggestion) -> Iterator[str]:
    room, needs = asked.guide.memory_gib, found.memory
    if needs is None:
        if room is not None and not asked.settings.replays:
            yield "its size is not known here, so whether it fits was not checked"
        return
    tokens = asked.guide.context_tokens
    parts = f"weights {gib(needs.weights)}, cache {gib(needs.cache)} for {asked.requests} x {tokens} tokens"
    parts += f", draft {gib(needs.draft)}" if needs.draft else ""
    total = f"about {gib(needs.total)}: {parts}"
    if room is None:
        yield total
    else:
        fits = "fits" if found.fits else "does not fit"
        yield f"{fits} into {asked.guide.usable:.0%} of {room:g} GiB: {total}"


def span(values: tuple[float, float]) -> str:
    low, high = (f"{value:.2f}" for value in values)
    return low if low == high else f"{low} to {high}"


def gib(value: float) -> str:
    return f"{value:.1f} GiB" if value >= 1 else f"{1024 * value:.0f} MiB"
