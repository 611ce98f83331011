"""Typical acceptance does what Medusa's does, and is lossy."""

import math

import pytest
import torch

from engine.draft import Draft
from engine.sampler import Sampled
from engine.tree.token_tree import TokenTree
from engine.verify_typical import typical_path_lossy, verify_typical_lossy
from tests.engine.laws import Laws, bias, emitted_law

FLAT, SURE = [0.3, 0.3, 0.3, 0.1], [0.95, 0.03, 0.01, 0.01]


def longest(tokens, parents, rows, epsilon=0.09, alpha=0.3):
    return typical_path_lossy(tokens, parents, torch.tensor(rows, dtype=torch.float64), epsilon, alpha)


def test_the_longest_path_of_typical_tokens_is_kept():
    tokens, parents = [0, 1, 2, 0], [-1, -1, 0, 1]
    assert longest(tokens, parents, [FLAT, SURE, FLAT, FLAT, FLAT]) == [1, 3]  # 2 is untypical where the law is sure
    assert longest([3], [-1], [SURE, FLAT]) == []


def test_paths_of_one_length_go_by_likelihood():
    assert longest([1, 0], [-1, -1], [[0.6, 0.4, 0.0, 0.0], FLAT, FLAT]) == [1]
    assert longest([0, 1], [-1, -1], [FLAT, FLAT, FLAT]) == [0]  # the first of equals


def test_the_threshold_is_medusas():
    """p > min(epsilon, alpha * exp(-entropy)): here the entropy decides."""
    entropy = -sum(x * math.log(x + 1e-5) for x in FLAT)
    alpha = 0.1 / math.exp(-entropy)
    assert longest([3], [-1], [FLAT, FLAT], 0.9, alpha * 0.999) == [0]
    assert longest([3], [-1], [FLAT, FLAT], 0.9, alpha * 1.001) == []


def test_it_is_lossy():
    p, q = Laws(0, 3, False), Laws(1, 3, False)
    tree = TokenTree.from_widths([2])

    def step(choose):
        tokens = q[()].topk(2).indices.tolist()
        path = typical_path_lossy(tokens, tree.parents, torch.stack([p[()], *(p[(x,)] for x in tokens)]), 0.09, 0.3)
        emitted = [tokens[node] for node in path]
        return [*emitted, choose(p[tuple(emitted)].tolist())]

    assert bias(emitted_law(step), p, 2) > 0.05


@pytest.mark.parametrize("is_sampled", [False, True])
def test_greedy_requests_stay_exact(is_sampled):
    """The target would choose 0; the draft has 1, which is typical."""
    p = torch.tensor([[0.6, 0.4], [0.5, 0.5]], dtype=torch.float64)
    sampled = Sampled({0: 0} if is_sampled else {}, p.log(), torch.zeros(2, 2, dtype=torch.float64))
    verified = verify_typical_lossy(Draft([1], [1], [-1]), [0, 0], sampled)
    assert verified.emitted == ([[1, 0]] if is_sampled else [[0]])
    assert verified.paths == ([[0]] if is_sampled else [[]])
