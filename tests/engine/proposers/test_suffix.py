"""Suffix decoding: the tree against plain counting, recorded counts of another implementation, eviction, the knobs."""

import itertools
import json
import random

import pytest

from engine.errors import ConfigError
from engine.proposers import resolve
from engine.proposers.suffix import SuffixCache
from engine.suffix_tree import SuffixTree, Text
from tests.engine.proposers.replay import replay


def count_suffixes(sequences, pattern, depth):
    """The definition: how many suffixes, each cut at `depth` tokens, begin with `pattern`."""
    n = len(pattern)
    return sum(seq[i : i + depth][:n] == pattern for seq in sequences for i in range(len(seq))) if n else 0


def check_counts(node, prefix, sequences, depth):
    """Every node's count is the definition's, its best child has the highest count, and no label is empty."""
    for first, child in node.children.items():
        label = child.tokens[child.start : child.start + child.length]
        assert label[0] == first
        for n in range(1, len(label) + 1):
            assert child.count == count_suffixes(sequences, prefix + label[:n], depth)
        check_counts(child, prefix + label, sequences, depth)
    best = max((child.count for child in node.children.values()), default=None)
    assert (node.best.count if node.best else None) == best


@pytest.mark.parametrize("seed", range(6))
def test_counts_are_those_of_plain_counting_through_growth_and_removal(seed):
    rng = random.Random(seed)
    depth = rng.choice([3, 5, 8])
    tree, texts = SuffixTree(depth), [Text() for _ in range(4)]
    for _ in range(120):  # sequences grow in turns, as requests of a batch do
        tree.append(rng.choice(texts), rng.randrange(3))
    check_counts(tree._root, [], [text.tokens for text in texts], depth)
    while texts:
        tree.remove(texts.pop(rng.randrange(len(texts))))
        check_counts(tree._root, [], [text.tokens for text in texts], depth)
    assert not tree._root.children


def test_growth_after_a_removal_keeps_the_counts():
    tree, first, second = SuffixTree(4), Text(), Text()
    for token in (1, 2, 3, 1, 2):
        tree.append(first, token)
        tree.append(second, token)
    tree.remove(first)
    for token in (3, 3, 1):
        tree.append(second, token)
    check_counts(tree._root, [], [second.tokens], 4)


def counts(sequences, k, depth, factor, min_prob):
    cache, numbers = SuffixCache(depth, 0, factor, min_prob), itertools.count()

    def new_request(prompt):
        name = str(next(numbers))

        def propose(tokens):
            cache.observe(name, tokens, len(prompt))
            return cache.draft(name, k)

        return propose

    return replay(sequences, k, new_request)


def test_recorded_counts(shared):
    recorded = json.loads((shared / "facts/drafting_counts.json").read_text())
    cases = [key for key in recorded["counts"] if key.startswith("stories260K|suffix")]
    assert len(cases) >= 4
    for key in cases:
        k, depth, factor, min_prob = key.split(":")[1:]
        found = counts(recorded["sequences"], int(k), int(depth), float(factor), float(min_prob))
        assert found == recorded["counts"][key], key


def test_responses_are_shared_until_they_are_evicted():
    def cache_after(responses, most):
        cache = SuffixCache(8, most, 2.0, 0.1)
        for i, response in enumerate(responses):
            cache.observe(f"r{i}", [90 + i, *response], 1)
            cache.close(f"r{i}")
        cache.observe("new", [50, 1, 2], 1)
        return cache.draft("new", 4)

    answer = [1, 2, 3, 4, 5, 6]
    assert cache_after([answer], most=10) == [3, 4, 5, 6]
    assert cache_after([answer], most=0) == []  # nothing is shared
    assert cache_after([answer, [7, 8], [7, 9]], most=2) == []  # first in, first out
    assert cache_after([[7, 8], answer], most=2) == [3, 4, 5, 6]  # "new" has pushed out the oldest only


def test_prompts_of_others_are_not_drafted_from():
    cache = SuffixCache(8, 10, 1.0, 0.1)
    cache.observe("a", [1, 2, 3, 4], 4)
    cache.close("a")
    cache.observe("b", [1, 2], 2)
    assert cache.draft("b", 4) == []


def test_each_knob_changes_the_draft():
    text = [9, 1, 2, 3, 1, 2, 4, 1, 2, 3, 5, 1, 2]

    def draft(k=8, depth=8, factor=4.0, min_prob=0.0):
        cache = SuffixCache(depth, 0, factor, min_prob)
        cache.observe("r", text, len(text))
        return cache.draft("r", k)

    assert draft() == [3, 1, 2, 4, 1, 2]  # "1 2" was followed by 3 twice and by 4 once
    assert draft(k=2) == [3, 1]
    assert draft(factor=0.5) == [3]
    assert draft(min_prob=0.4) == [3]  # 2 of the 4 suffixes "1 2": the one that ends the text counts too
    assert draft(depth=2) != draft()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"suffix_decoding_max_tree_depth": 0},
            "suffix_decoding_max_tree_depth=0 is not allowed: a whole number from 1",
        ),
        ({"suffix_decoding_max_cached_requests": -1}, "max_cached_requests=-1 is not allowed: a whole number >= 0"),
        ({"suffix_decoding_max_spec_factor": -0.5}, "max_spec_factor=-0.5 is not allowed: a number >= 0"),
        ({"suffix_decoding_min_token_prob": 1.5}, "min_token_prob=1.5 is not allowed: a number from 0 to 1"),
        ({"prompt_lookup_max": 3}, "prompt_lookup_max has no effect with method suffix"),
    ],
)
def test_wrong_settings_say_what_is_allowed(given, message):
    with pytest.raises(ConfigError, match=message):
        resolve({"method": "suffix"} | given)


def test_defaults():
    config = resolve({"method": "suffix"})
    assert config.num_speculative_tokens == config.suffix_decoding_max_tree_depth == 24
    assert config.suffix_decoding_max_cached_requests == 10_000
