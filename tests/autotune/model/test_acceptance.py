"""Counts by position tell exactly what shorter drafts at the same places come to."""

from __future__ import annotations

import random

import pytest

from autotune.model.acceptance import conditional, extension, imputed, passes
from engine.stats import SpecDecodingStats


def drafts(rng: random.Random, tokens: int, count: int = 200) -> list[tuple[int, int]]:
    """(drafted, accepted) as an engine makes them: some drafts are shorter than they may be, or empty."""
    lengths = [rng.choice([tokens, tokens, rng.randint(0, tokens)]) for _ in range(count)]
    return [(length, min(length, int(rng.expovariate(0.5)))) for length in lengths]


def counted(made: list[tuple[int, int]], tokens: int) -> SpecDecodingStats:
    """What an engine that drafts at most `tokens` counts at the same places."""
    stats = SpecDecodingStats(tokens)
    for drafted, accepted in made:
        if min(drafted, tokens):
            stats.observe_draft(min(drafted, tokens), min(accepted, tokens))
    return stats


@pytest.mark.parametrize("seed", range(20))
def test_shorter_drafts_are_imputed_exactly(seed: int) -> None:
    rng = random.Random(seed)
    longest = rng.randint(2, 16)
    made = drafts(rng, longest)
    most = counted(made, longest)
    for tokens in range(1, longest + 1):
        direct = counted(made, tokens)
        assert imputed(most.num_accepted_tokens_per_pos, tokens) == direct.num_accepted_tokens
        assert imputed(most.num_draft_tokens_per_pos, tokens) == direct.num_draft_tokens
        assert most.num_accepted_tokens_per_pos[:tokens] == direct.num_accepted_tokens_per_pos


def walk(chance: float, tokens: int, length: int, seed: int) -> tuple[int, list[int]]:
    """Passes for `length` tokens of which each is drafted right with `chance`, and accepted counts by position."""
    rng = random.Random(seed)
    right = [rng.random() < chance for _ in range(length)]
    place, count, accepted = 0, 0, [0] * tokens
    while place < length:
        taken = next((i for i in range(tokens) if place + i >= length or not right[place + i]), tokens)
        for i in range(taken):
            accepted[i] += 1
        place, count = place + taken + 1, count + 1
    return count, accepted


@pytest.mark.parametrize("chance", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("tokens", [1, 2, 3, 5, 8])
def test_passes_of_shorter_drafts_lie_near_both_ways_of_counting(chance: float, tokens: int) -> None:
    many, accepted = walk(chance, 8, 20_000, 1)
    true, _ = walk(chance, tokens, 20_000, 1)
    anew, onward = passes(many, accepted, tokens)
    assert anew == pytest.approx(true, rel=0.03)
    assert onward == pytest.approx(true, rel=0.10)


def test_drafts_that_end_are_no_trial_of_what_comes_after() -> None:
    """Half of the drafts have one token; those that have two are accepted as often at the second as at the first."""
    chances = conditional([1000, 500], [600, 180])
    assert chances[0].mean == pytest.approx(0.6)
    assert chances[1].mean == pytest.approx(0.6)
    low, high = chances[1].bounds()
    assert 0.5 < low < 0.6 < high < 0.7


def test_what_lies_beyond_is_less_and_less_certain() -> None:
    beyond = extension([100, 100], [80, 60])
    _, middle = beyond.reach([100, 100], [80, 60], 6)
    assert middle[:2] == [80, 60]
    assert middle[2] == pytest.approx(45)
    spans = []
    for tokens in (3, 4, 6):
        low, high = (sum(beyond.reach([100, 100], [80, 60], tokens, shift)[1]) for shift in (-1.0, 1.0))
        spans.append(high - low)
    assert spans == sorted(spans)
    assert spans[0] > 5
