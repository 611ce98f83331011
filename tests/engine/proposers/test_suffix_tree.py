"""Suffix decoding with a token tree: what branches off, against plain counting, and every knob's effect."""

import random

import pytest

from engine.drafting import suffix_branches
from engine.proposers.suffix import SuffixCache
from engine.replay import Replay
from engine.tree import flat
from engine.tree.token_tree import TokenTree

BINARY = TokenTree.from_widths([2, 2, 2])


def observed(text, depth=8, factor=4.0, min_prob=0.0, responses=()):
    cache = SuffixCache(depth, 10 if responses else 0, factor, min_prob)
    for number, response in enumerate(responses):
        cache.remember(f"earlier-{number}", response)
    cache.observe("r", text, len(text))
    return cache


def paths(branch):
    """Every drafted path from the root."""
    return [[branch.tokens[i] for i in flat.path(branch.parents, node)] for node in range(len(branch.tokens))]


def followers(text, m, path, depth):
    """Plain counting: how many suffixes, cut at `depth`, begin with the last m tokens, and with these and the path."""
    suffixes = [text[i : i + depth] for i in range(len(text))]
    pattern = text[-m:]
    return (
        sum(suffix[:m] == pattern for suffix in suffixes),
        sum(suffix[: m + len(path)] == pattern + path for suffix in suffixes),
    )


@pytest.mark.parametrize("min_prob", [0.0, 0.2, 0.5])
@pytest.mark.parametrize("factor", [0.5, 1.0, 4.0])
def test_every_drafted_path_follows_some_match_often_enough(min_prob, factor):
    rng = random.Random(int(10 * min_prob + factor))
    for _ in range(60):
        text = [rng.randrange(3) for _ in range(rng.randint(2, 40))]
        cache = observed(text, factor=factor, min_prob=min_prob)
        for path in paths(cache.branch("r", BINARY, 8)):
            lengths = [m for m in range(1, min(len(text), 8)) if len(path) <= int(m * factor + 1e-6)]
            counts = [followers(text, m, path, 8) for m in lengths]
            assert any(after > 0 and after / all_ >= min_prob - 1e-6 for all_, after in counts), (text, path)


def test_the_first_path_is_the_chain():
    rng = random.Random(3)
    for _ in range(200):
        text = [rng.randrange(4) for _ in range(rng.randint(2, 40))]
        cache = observed(text, responses=[[rng.randrange(4) for _ in range(30)]])
        chain, branch = cache.draft("r", 3), cache.branch("r", BINARY, 3)
        first = [t for t, node in zip(branch.tokens, branch.nodes, strict=True) if not any(BINARY.nodes[node])]
        assert first[: len(chain)] == chain


def test_children_of_a_match_come_in_the_order_of_their_counts():
    text = [9, 1, 5, 9, 1, 6, 9, 1, 5, 9, 1, 7, 9, 1, 5, 9, 1, 6, 9, 1]  # after "9 1": 5 thrice, 6 twice, 7 once
    branch = observed(text).branch("r", TokenTree.from_widths([4]), 1)
    assert branch.tokens == [5, 6, 7]
    assert observed(text, min_prob=0.2).branch("r", TokenTree.from_widths([4]), 1).tokens == [5, 6]


def test_both_trees_contribute():
    text, answer = [1, 2, 3, 7, 1, 2], [1, 2, 4, 8]
    wide = TokenTree.from_widths([3, 1])
    assert paths(observed(text).branch("r", wide, 2)) == [[3], [3, 7]]
    assert paths(observed(text, responses=[answer]).branch("r", wide, 2)) == [[4], [3], [4, 8], [3, 7]]


def test_budgets_bound_the_depth():
    text = [9, 1, 2, 3, 4, 5, 6, 7, 8, 1]  # one token matches
    chain = TokenTree.chain(5)
    assert len(observed(text, factor=2.0).branch("r", chain, 5).tokens) == 2
    assert len(observed(text, factor=9.0).branch("r", chain, 5).tokens) == 5
    assert len(observed(text, factor=9.0).branch("r", chain, 3).tokens) == 3
    assert observed(text, factor=9.0).branch("r", chain, 0).tokens == []


def test_a_step_visits_a_bounded_number_of_tokens(monkeypatch):
    """However many children a node has: a text in which one token was followed by a thousand others."""
    text = [token for follower in range(1, 1001) for token in (0, follower)] + [0]
    cache, visits = observed(text), []
    pop = suffix_branches.heappop
    monkeypatch.setattr(suffix_branches, "heappop", lambda heap: visits.append(0) or pop(heap))
    assert len(cache.branch("r", TokenTree.parse("[(0,), (1,), (0, 0), (1, 0), (0, 0, 0)]", 3), 3).tokens) >= 3
    assert len(visits) <= suffix_branches.MOST_VISITS


def test_a_tree_accepts_more_than_a_chain_in_a_replay():
    rng = random.Random(4)
    pairs = [
        ([1, 2], [t for _ in range(20) for t in (7, 10 + rng.randrange(3), 8, 20 + rng.randrange(3), 9)])
        for _ in range(4)
    ]

    def replayed(**given):
        replay = Replay()
        replay.configure_speculation({"method": "suffix", "suffix_decoding_max_spec_factor": 4.0} | given)
        for number, (prompt, response) in enumerate(pairs):
            replay.serve(f"r{number}", prompt, response)
        return replay

    tree = replayed(speculative_token_tree=str(TokenTree.from_widths([3, 3, 1, 1])))
    assert sum(tree.stats.node_accepted) == tree.stats.num_accepted_tokens > 0
    assert tree.timing.num_decode_passes < 0.9 * replayed(num_speculative_tokens=4).timing.num_decode_passes
