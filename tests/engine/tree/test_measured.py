"""Acceptance of nodes from counters: what was measured, what was not, and the tree that comes of it."""

import random

import pytest

from engine.stats import SpecDecodingStats
from engine.tree.best_first import best_first, expected_accepted
from engine.tree.measured import Measured, unmeasured
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


def best_within_four(node):
    return true_chance(node) if max(node) < 4 else 0.0


def test_the_tree_grown_from_counters_is_nearly_the_best_there_is():
    tree = TokenTree.from_widths([4, 3, 2, 1])
    found = best_first(Measured([(tree, drafted(tree, 4000))]).known, 8)
    best = best_first(best_within_four, 8)
    assert expected_accepted(found, best_within_four) > 0.98 * expected_accepted(best, best_within_four)


def test_what_is_in_the_tree_is_what_was_counted():
    tree = TokenTree.from_widths([2, 2])
    found = Measured([(tree, drafted(tree, 20_000))])
    for node in tree.nodes:
        assert found.known(node) == found.guess(node) == pytest.approx(true_chance(node), abs=0.02)


def test_what_is_not_in_it_is_guessed_by_depth_and_rank_and_promised_nothing():
    tree = TokenTree.parse("[(0,), (1,), (0, 0), (0, 1)]", 2)
    found, stats = Measured([(tree, drafted(tree, 20_000))]), drafted(tree, 20_000)
    table = stats.acceptance_by_depth_and_rank()
    assert found.guess((1, 0)) == pytest.approx(table[1][0], abs=0.01)
    assert found.guess((0, 0, 1)) == pytest.approx(0.2, abs=0.02)  # deeper than anything measured: by rank
    assert found.guess((2,)) == pytest.approx(found.guess((0, 2)), abs=1e-3) == pytest.approx(0.1, abs=0.02)
    assert found.known((1, 0)) == found.known((2,)) == found.known((0, 0, 1)) == 0


def test_few_counts_of_a_level_are_drawn_towards_its_rank():
    tree = TokenTree.parse("[(0,), (0, 0)]", 2)
    stats = SpecDecodingStats(2)
    for path in ([], [0], [0, 1], *[[]] * 60, *[[0]] * 60):
        stats.observe_draft(2, len(path), 2)
        stats.observe_tree([-1, 0], path)
    assert stats.tree_tried == [[123], [62]]
    few = Measured([(tree, drafted(tree, 6))])
    many = Measured([(tree, stats), (tree, drafted(tree, 6))])
    assert 0 < many.guess((0, 0)) < 0.15
    assert abs(few.guess((0, 0)) - 0.5) < abs(many.guess((0, 0)) - 0.5)


def test_runs_of_several_trees_are_counted_together():
    narrow, wide = TokenTree.from_widths([1, 2]), TokenTree.from_widths([2])
    runs = [(narrow, drafted(narrow, 20_000)), (wide, drafted(wide, 20_000, seed=1))]
    found = Measured(runs)
    for node in ((0,), (1,), (0, 0), (0, 1)):
        assert found.known(node) == pytest.approx(true_chance(node), abs=0.02)
    assert found.known((1, 0)) == 0


def test_a_node_that_drafts_seldom_have_is_worth_little():
    tree = TokenTree.from_widths([2])
    assert Measured([(tree, drafted(tree, 1000, empty=[(1,)]))]).known((1,)) < 0.01


def test_no_counts_say_what_is_assumed_in_the_beginning():
    nothing = Measured([(TokenTree.from_widths([1]), SpecDecodingStats(1))])
    assert [nothing.guess((0, rank)) for rank in range(3)] == [unmeasured((rank,)) for rank in range(3)]
