"""Acceptance of nodes from counters: what was measured, what was not, and the tree that comes of it."""

import random

import pytest

from engine.stats import SpecDecodingStats
from engine.tree.best_first import best_first, expected_accepted
from engine.tree.measured import measured, unmeasured
from engine.tree.token_tree import TokenTree

CHANCES = (0.5, 0.2, 0.1, 0.05)


def true_chance(node):
    """Below a second choice the target is easier to guess."""
    return CHANCES[node[-1]] * (1.5 if node[:1] == (1,) and len(node) > 1 and node[-1] == 0 else 1.0)


def drafted(tree, number, seed=0, empty=()):
    """Counters of drafts of a tree whose nodes `empty` no draft has."""
    rng, stats = random.Random(seed), SpecDecodingStats(tree.depth)
    nodes = [i for i, node in enumerate(tree.nodes) if node not in empty]
    parents = [nodes.index(tree.parents[i]) if tree.parents[i] >= 0 else -1 for i in nodes]
    for _ in range(number):
        at, path = (), []
        while True:
            ranks = [n[-1] for n in tree.nodes if n[:-1] == at and len(n) == len(at) + 1]
            chances = [true_chance((*at, rank)) for rank in ranks]
            rank = rng.choices([*ranks, None], [*chances, 1 - sum(chances)])[0]
            if rank is None or (*at, rank) in empty:
                break
            at = (*at, rank)
            path.append(nodes.index(tree.nodes.index(at)))
        stats.observe_draft(len(nodes), len(path), tree.depth)
        stats.observe_tree(parents, path, nodes)
    return stats


def test_the_tree_grown_from_counters_is_nearly_the_best_there_is():
    tree = TokenTree.from_widths([4, 3, 2, 1])
    found = best_first(measured(tree, drafted(tree, 4000)), 8)
    best = best_first(lambda node: true_chance(node) if node[-1] < 4 else 0.0, 8)
    assert expected_accepted(found, true_chance_or_none) > 0.98 * expected_accepted(best, true_chance_or_none)


def true_chance_or_none(node):
    return true_chance(node) if all(rank < 4 for rank in node) else 0.0


def test_what_is_in_the_tree_is_what_was_counted():
    tree = TokenTree.from_widths([2, 2])
    stats = drafted(tree, 20_000)
    for node in tree.nodes:
        assert measured(tree, stats)(node) == pytest.approx(true_chance(node), abs=0.02)


def test_what_is_not_in_it_is_guessed_by_depth_and_rank():
    tree = TokenTree.parse("[(0,), (1,), (0, 0), (0, 1)]", 2)
    acceptance, table = measured(tree, stats := drafted(tree, 5000)), stats.acceptance_by_depth_and_rank()
    assert acceptance((1, 0)) == table[1][0]
    assert acceptance((1, 1, 1)) == table[1][1]  # deeper than anything measured
    assert acceptance((2,)) == table[0][1] / 2
    assert acceptance((3,)) == table[0][1] / 4


def test_a_node_that_drafts_seldom_have_is_worth_little():
    tree = TokenTree.from_widths([2])
    assert measured(tree, drafted(tree, 1000, empty=[(1,)]))((1,)) < 0.01


def test_few_drafts_say_little():
    tree = TokenTree.from_widths([1])
    stats = SpecDecodingStats(1)
    assert measured(tree, stats)((0,)) == unmeasured((0,)) == 0.5
    stats.observe_draft(1, 0)
    stats.observe_tree([-1], [])
    assert 0 <= measured(tree, stats)((0,)) < 0.5
