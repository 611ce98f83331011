"""Trees from measured acceptance, against every tree of the same size."""

import itertools

import pytest

from engine.errors import ConfigError
from engine.tree.best_first import best_first, by_depth_and_rank, expected_accepted
from engine.tree.token_tree import TokenTree
from tests.engine.tree.shapes import all_trees

TABLE = by_depth_and_rank([[0.6, 0.2, 0.1], [0.5, 0.3], [0.45, 0.1]])


def test_the_likeliest_nodes_come_first():
    assert best_first(TABLE, 4).nodes == ((0,), (1,), (0, 0), (0, 1))  # worth 0.6, 0.2, 0.3, 0.18


@pytest.mark.parametrize("num_nodes", [1, 2, 3, 4, 5, 6])
def test_no_tree_of_the_size_expects_more(num_nodes):
    best = max(expected_accepted(tree, TABLE) for tree in all_trees(num_nodes, max_depth=3, max_width=3))
    assert expected_accepted(best_first(TABLE, num_nodes), TABLE) == pytest.approx(best)


def test_expected_accepted_of_a_chain_is_the_sum_of_its_products():
    assert expected_accepted(TokenTree.chain(3), TABLE) == pytest.approx(0.6 + 0.3 + 0.135)


def test_nodes_without_a_chance_are_left_out():
    assert best_first(by_depth_and_rank([[0.5, 0.0, 0.2], [0.1]]), 64).nodes == ((0,), (0, 0))


def test_acceptance_may_be_of_single_nodes():
    measured = {(0,): 0.6, (1,): 0.3, (1, 0): 0.9, (0, 0): 0.1}
    assert best_first(lambda node: measured.get(node, 0.0), 3).nodes == ((0,), (1,), (1, 0))


def test_every_size_holds_the_smaller_ones():
    trees = [set(best_first(TABLE, n).nodes) for n in range(1, 15)]
    assert all(small < large for small, large in itertools.pairwise(trees))


def test_sixty_three_nodes_as_medusa_has_them():
    table = by_depth_and_rank([[0.6 * 0.4**rank for rank in range(10)] for _ in range(4)])
    tree = best_first(table, 63)
    assert len(tree) == 63
    assert TokenTree.parse(str(tree), 4) == tree


@pytest.mark.parametrize("num_nodes", [0, 65])
def test_sizes_beyond_a_mask_are_refused(num_nodes):
    with pytest.raises(ConfigError, match=f"a tree of {num_nodes} nodes is not allowed: 1 to 64"):
        best_first(TABLE, num_nodes)


def test_tables_that_are_no_chances_are_refused():
    with pytest.raises(ConfigError, match=r"at depth 2 is \[0.9, 0.2\]"):
        by_depth_and_rank([[1.0], [0.9, 0.2]])
    with pytest.raises(ConfigError, match="likeliest first token is 0"):
        best_first(by_depth_and_rank([[0.0]]), 3)
