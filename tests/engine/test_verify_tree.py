"""Verification of trees: exact laws of every rule over every small shape, and the biased rule shown biased."""

import random

import pytest
import torch

from engine import noise
from engine.tree.token_tree import TokenTree
from tests.engine.laws import Laws, bias, emitted_law, mean_accepted
from tests.engine.lazy_tree import descent, likeliest_child, rejection, sampled_child
from tests.engine.tree.shapes import all_trees

EXACT = 1e-12
SMALL = [tree for n in range(1, 7) for tree in all_trees(n, max_depth=3, max_width=3)]
OTHERS = [tree for n in range(3, 9) for tree in all_trees(n, max_depth=3, max_width=4)]


def bias_of(rule, tree, size, seed, sparse, **how):
    p, q = Laws(seed, size, sparse), Laws(1000 + seed, size, sparse)
    return bias(emitted_law(rule(tree, p, q, **how)), p, tree.depth + 1)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("rule", [rejection, descent])
def test_every_shape_has_the_targets_law(rule, sparse):
    """Vocabulary 3, all shapes of up to 6 nodes and depth 3: children sampled from q, and the likeliest ones."""
    worst = max(bias_of(rule, tree, 3, seed, sparse) for seed, tree in enumerate(SMALL))
    assert worst < EXACT


@pytest.mark.parametrize("size", [4, 5])
@pytest.mark.parametrize("rule", [rejection, descent])
def test_larger_vocabularies_have_the_targets_law(rule, size):
    for seed, tree in enumerate(random.Random(size).sample(OTHERS, 12)):
        assert bias_of(rule, tree, size, seed, sparse=bool(seed % 2)) < EXACT


def test_the_likeliest_children_are_biased_under_p_over_q():
    """Why a draft that keeps no true q is descended and never rejected: this combination exists in this test alone."""
    tree = TokenTree.from_widths([2])
    found = [bias_of(rejection, tree, 3, seed, sparse=False, draw=likeliest_child) for seed in range(50)]
    assert max(found) > 0.05
    assert min(found) > 1e-6


def test_siblings_need_coins_of_their_own():
    tree = TokenTree.from_widths([2])
    assert max(bias_of(rejection, tree, 3, seed, sparse=False, one_coin=True) for seed in range(10)) > 0.01
    coins = torch.tensor([[noise.coin(seed, 5, rank) for rank in range(3)] for seed in range(4000)])
    assert (torch.corrcoef(coins.T) - torch.eye(3)).abs().max() < 0.05
    assert noise.coin(1, 5, 0) == noise.coin(1, 5)


def test_descent_is_exact_for_sampled_children_too():
    tree = TokenTree.parse("[(0,), (1,), (0, 0), (1, 0)]", 2)
    assert bias_of(descent, tree, 3, 0, sparse=False, draw=sampled_child) < EXACT


def test_more_children_are_accepted_more():
    p, q = Laws(0, 4, False), Laws(1000, 4, False)
    accepted = [mean_accepted(emitted_law(rejection(TokenTree.from_widths([k]), p, q))) for k in (1, 2, 3, 4)]
    assert accepted == sorted(accepted)
    assert accepted[-1] == pytest.approx(1.0)  # the whole vocabulary is drafted
