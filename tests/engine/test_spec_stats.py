"""What the counters of speculative decoding say of chains of any length and of trees."""

import random

import pytest

from engine.stats import SpecDecodingStats
from engine.tree.best_first import best_first, by_depth_and_rank
from engine.tree.flat import depths, path, ranks

BINARY = [-1, -1, 0, 0, 1, 1]


def test_drafts_of_different_depth_count_where_they_had_a_token():
    stats = SpecDecodingStats(3)
    for drafted, accepted in ((3, 2), (1, 1), (2, 0)):
        stats.observe_draft(drafted, accepted)
    assert stats.num_draft_tokens_per_pos == [3, 2, 1]
    assert stats.num_accepted_tokens_per_pos == [2, 1, 0]
    assert stats.acceptance_per_position == [2 / 3, 1 / 2, 0.0]
    assert stats.mean_acceptance_length == 1 + 3 / 3
    assert stats.acceptance_rate == 3 / 6


def test_a_level_of_a_tree_is_one_position():
    stats = SpecDecodingStats(2)
    stats.observe_draft(len(BINARY), 2, depth=2)
    assert (stats.num_draft_tokens, stats.num_drafts) == (6, 1)
    assert stats.num_draft_tokens_per_pos == stats.num_accepted_tokens_per_pos == [1, 1]
    assert stats.acceptance_rate == 2 / 6


def test_a_draft_deeper_than_expected_makes_room():
    stats = SpecDecodingStats(1)
    stats.observe_draft(3, 3)
    assert stats.num_draft_tokens_per_pos == stats.num_accepted_tokens_per_pos == [1, 1, 1]


def test_only_children_of_accepted_nodes_are_tried():
    stats = SpecDecodingStats(2)
    stats.observe_tree(BINARY, [1, 4])
    assert stats.tree_tried == [[1, 1], [1, 1]]
    assert stats.tree_accepted == [[0, 1], [1, 0]]
    assert stats.node_tried == [1, 1, 0, 0, 1, 1]
    assert stats.node_accepted == [0, 1, 0, 0, 1, 0]
    stats.observe_tree(BINARY, [])
    assert stats.tree_tried == [[2, 2], [1, 1]]
    assert stats.acceptance_by_depth_and_rank() == [[0.0, 0.5], [1.0, 0.0]]


def test_a_chain_is_a_tree():
    stats = SpecDecodingStats(3)
    for accepted in (3, 1, 0):
        stats.observe_draft(3, accepted)
        stats.observe_tree([-1, 0, 1], range(accepted))
    conditional = [2 / 3, 1 / 2, 1.0]
    assert [row[0] for row in stats.acceptance_by_depth_and_rank()] == pytest.approx(conditional)
    assert stats.node_tried == [3, 2, 1]


def test_counts_follow_the_definition_on_random_trees():
    draw, stats, tried, accepted = random.Random(3), SpecDecodingStats(4), {}, {}
    for _ in range(300):
        parents = [draw.randint(-1, i - 1) for i in range(draw.randint(1, 9))]
        walked = path(parents, draw.randint(-1, len(parents) - 1))
        stats.observe_tree(parents, walked)
        for node, (depth, rank) in enumerate(zip(depths(parents), ranks(parents), strict=True)):
            if parents[node] == -1 or parents[node] in walked:
                tried[depth, rank] = tried.get((depth, rank), 0) + 1
                accepted[depth, rank] = accepted.get((depth, rank), 0) + (node in walked)
    found = {(d + 1, r): count for d, row in enumerate(stats.tree_tried) for r, count in enumerate(row)}
    assert found == tried
    assert {(d + 1, r): n for d, row in enumerate(stats.tree_accepted) for r, n in enumerate(row)} == accepted


def test_uneven_siblings_never_sum_to_more_than_one():
    """A ratio to all that were tried would say 1/2 and 1: no tree could be made from that."""
    stats = SpecDecodingStats(1)
    stats.observe_tree([-1], [0])
    stats.observe_tree([-1, -1], [1])
    assert stats.tree_tried == [[2, 1]]
    assert stats.acceptance_by_depth_and_rank() == [[0.5, 0.5]]


def test_a_tree_grows_from_what_was_measured():
    draw, stats = random.Random(5), SpecDecodingStats(2)
    for _ in range(400):
        first = draw.choices([-1, 0, 1], [0.2, 0.5, 0.3])[0]
        second = draw.choices([-1, 2 * first + 2, 2 * first + 3], [0.3, 0.5, 0.2])[0]
        stats.observe_tree(BINARY, [] if first < 0 else [first] if second < 0 else [first, second])
    table = [[chance or 0.0 for chance in row] for row in stats.acceptance_by_depth_and_rank()]
    assert table[0] == pytest.approx([0.5, 0.3], abs=0.08)
    assert best_first(by_depth_and_rank(table), 3).nodes == ((0,), (1,), (0, 0))
