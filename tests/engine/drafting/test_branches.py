"""Continuations merged into the shape of a tree, against the definition written out slowly."""

import itertools

import pytest

from engine.draft import Draft
from engine.drafting.branches import Branch, Branches
from engine.tree.token_tree import TokenTree
from tests.engine.tree.shapes import all_trees

SHAPES = [tree for size in range(1, 6) for tree in all_trees(size, 3, 3)]


def merged(shape, continuations):
    branches = Branches(shape)
    for continuation in continuations:
        branches.add(continuation)
    return branches.branch()


def slow_merge(shape, continuations):
    """Tokens by the ranks of their node: a token follows a child that has it, or takes the next rank there is."""
    tokens = {}
    for continuation in continuations:
        node = ()
        for token in continuation:
            children = [child for child in shape.nodes if child[:-1] == node]
            same = [child for child in children if tokens.get(child) == token]
            free = [child for child in children if child not in tokens]
            if not same and not free:
                break
            node = (same or free)[0]
            tokens[node] = token
    return tokens


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_pair_of_short_continuations_in_every_small_shape(shape):
    """Two tokens, up to three of them, and a third continuation that uses a third token."""
    words = [word for length in range(1, 4) for word in itertools.product((7, 8), repeat=length)]
    for first, second in itertools.product(words, repeat=2):
        continuations = [first, second, (8, 9, 7)]
        found, expected = merged(shape, continuations), slow_merge(shape, continuations)
        assert [shape.nodes[node] for node in found.nodes] == [node for node in shape.nodes if node in expected]
        assert found.tokens == [expected[shape.nodes[node]] for node in found.nodes]
        for i, node in enumerate(found.nodes):
            above = shape.parents[node]
            assert found.parents[i] == (found.nodes.index(above) if above >= 0 else -1)


def test_siblings_differ_and_the_first_continuation_is_the_first_path():
    shape = TokenTree.from_widths([2, 2, 2])
    found = merged(shape, [[1, 2, 3], [1, 2, 3], [1, 4, 3], [5, 2], [6, 2], [1, 2, 8, 9]])
    assert [found.tokens[found.nodes.index(shape.nodes.index(node))] for node in ((0,), (0, 0), (0, 0, 0))] == [1, 2, 3]
    children = {}
    for token, parent in zip(found.tokens, found.parents, strict=True):
        children.setdefault(parent, []).append(token)
    assert children[-1] == [1, 5]  # 6 found no room
    assert all(len(set(tokens)) == len(tokens) for tokens in children.values())


def test_a_full_shape_says_so():
    branches = Branches(TokenTree.chain(2))
    branches.add([1, 2, 3])
    assert branches.is_full
    assert branches.child(-1, 9) is None


def test_a_draft_of_branches():
    """Trees of several sequences lie one after another; where all are chains the draft is one of chains."""
    wide, chain = Branch([1, 2, 3], [-1, -1, 0], [0, 1, 2]), Branch([4, 5], [-1, 0], [0, 2])
    draft = Draft.trees([wide, Branch([], [], []), chain])
    assert (draft.tokens, draft.counts, draft.parents) == ([1, 2, 3, 4, 5], [3, 0, 2], [-1, -1, 0, -1, 0])
    assert draft.nodes == [0, 1, 2, 0, 2]
    assert Draft.trees([chain, chain]).is_chain
    assert Draft.trees([chain, chain]).nodes == [0, 2, 0, 2]
