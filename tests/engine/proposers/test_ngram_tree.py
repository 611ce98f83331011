"""Prompt lookup with a token tree: the branches against a plain search, and the cost of a step."""

import random

import pytest

from engine.drafting.branches import Branches
from engine.drafting.occurrences import Occurrences
from engine.proposers.ngram import MOST_OCCURRENCES
from engine.replay import Replay
from engine.tree.token_tree import TokenTree
from tests.engine.proposers.test_ngram import plain_lookup

BINARY = str(TokenTree.from_widths([2, 2, 2]))
NGRAM = {"method": "ngram", "prompt_lookup_min": 1, "prompt_lookup_max": 3}


def plain_continuations(tokens, low, high, limit, most):
    """The definition, by brute force: longest n first; the earliest occurrence, then the latest ones."""
    seen = []
    for n in range(min(high, len(tokens) - 1), low - 1, -1):
        ends = [end for end in range(n, len(tokens)) if tokens[end - n : end] == tokens[-n:]]
        for end in [*ends[:1], *reversed(ends[-most:])]:
            if end not in seen:
                seen.append(end)
    return [tokens[end : end + limit] for end in seen]


@pytest.mark.parametrize(("low", "high"), [(1, 1), (1, 4), (2, 5), (3, 3), (5, 9)])
def test_the_index_finds_what_a_plain_search_finds(low, high):
    rng = random.Random(low * 10 + high)
    for most in (1, 2, 100):
        for _ in range(10):
            tokens, index = [rng.randrange(3)], Occurrences(low, high)
            while len(tokens) < 60:
                found = list(index.continuations(tokens, 6, most))
                assert found == plain_continuations(tokens, low, high, 6, most)
                assert (found or [[]])[0] == plain_lookup(tokens, low, high, 6)
                tokens += [rng.randrange(3) for _ in range(rng.randint(1, 4))]


def replayed(config, pairs):
    replay = Replay()
    replay.configure_speculation(config)
    drafts = []
    propose = replay._proposer.propose
    replay._proposer.propose = lambda *given: drafts.append(propose(*given)) or drafts[-1]
    for number, (prompt, response) in enumerate(pairs):
        replay.serve(f"r{number}", prompt, response)
    return replay, drafts


@pytest.fixture(scope="module")
def pairs():
    rng = random.Random(1)
    return [([1, 2, 3], [rng.randrange(5) for _ in range(80)]) for _ in range(6)]


def test_a_tree_accepts_what_its_first_path_accepts_and_more(pairs):
    chain, _ = replayed(NGRAM | {"num_speculative_tokens": 3}, pairs)
    tree, drafts = replayed(NGRAM | {"speculative_token_tree": BINARY}, pairs)
    assert tree.timing.tokens_per_target_pass > 1.1 * chain.timing.tokens_per_target_pass
    assert tree.stats.num_drafts > 0
    assert any(not draft.is_chain for draft in drafts)
    assert sum(tree.rows.values()) == tree.timing.num_decode_passes
    assert sum(rows * steps for rows, steps in tree.rows.items()) == sum(1 + len(draft.tokens) for draft in drafts)


def test_nodes_are_counted_by_their_place_in_the_tree(pairs):
    """Every accepted token is one accepted node; a wide level shows the ranks that chains never reach."""
    tree, drafts = replayed(NGRAM | {"speculative_token_tree": BINARY}, pairs)
    stats = tree.stats
    assert sum(stats.node_accepted) == stats.num_accepted_tokens == sum(stats.num_accepted_tokens_per_pos)
    assert stats.node_tried[0] == stats.num_drafts == len([draft for draft in drafts if draft.tokens])
    second = [draft for draft in drafts if draft.shapes[0].parents.count(-1) == 2]
    assert stats.node_tried[1] == len(second) < stats.num_drafts  # not every step has a second continuation
    assert stats.node_accepted[1] > 0
    assert stats.num_draft_tokens == sum(len(draft.tokens) for draft in drafts)
    assert all(set(draft.nodes) <= set(range(14)) for draft in drafts)


def test_the_first_path_is_the_chain():
    rng = random.Random(2)
    shape = TokenTree.from_widths([3, 2, 1, 1])
    for _ in range(200):
        tokens, branches = [rng.randrange(4) for _ in range(rng.randint(2, 40))], Branches(shape)
        for continuation in Occurrences(1, 3).continuations(tokens, shape.depth, MOST_OCCURRENCES):
            branches.add(continuation)
        found = branches.branch()
        first = [token for token, node in zip(found.tokens, found.nodes, strict=True) if not any(shape.nodes[node])]
        chain = plain_lookup(tokens, 1, 3, shape.depth)
        assert first[: len(chain)] == chain


def test_a_step_costs_the_same_at_any_context_length():
    """Work, not seconds: reads of the tokens and of the index per step do not depend on what came before."""

    class Counting(list):
        reads = 0

        def __getitem__(self, item):
            Counting.reads += 1
            return super().__getitem__(item)

    def reads_per_step(context):
        tokens = Counting(random.Random(0).choices(range(2), k=context))  # every n-gram has dozens of occurrences
        index = Occurrences(2, 5)
        for table in index._tables:
            table._previous = Counting(table._previous)
        list(index.continuations(tokens, 4, MOST_OCCURRENCES))
        Counting.reads = 0
        for token in range(50):
            tokens.append(token % 2)
            list(index.continuations(tokens, 4, MOST_OCCURRENCES))
        return Counting.reads

    assert reads_per_step(16_000) <= 1.1 * reads_per_step(1_000)
