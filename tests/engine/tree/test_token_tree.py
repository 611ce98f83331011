"""Tree shapes and their flat arrays, against definitions written out slowly."""

import random

import pytest
import torch

from engine.errors import ConfigError, EngineError
from engine.tree import flat
from engine.tree.masks import ancestor_masks, visible
from engine.tree.token_tree import TokenTree
from tests.engine.tree.shapes import MEDUSA_63, STATIC_SHAPES

SMALL = TokenTree.parse("[(0,), (1,), (0, 0), (0, 1), (1, 0), (0, 1, 0)]", 3)


def random_parents(generator, num_nodes):
    """Breadth-first parents: they never fall."""
    parents = []
    for i in range(num_nodes):
        parents.append(generator.randint(max(parents, default=-1), i - 1))
    return parents


def test_arrays_of_a_small_tree():
    assert SMALL.parents == [-1, -1, 0, 0, 1, 3]
    assert SMALL.depths == [1, 1, 2, 2, 2, 3]
    assert SMALL.ranks == flat.ranks(SMALL.parents) == [0, 1, 0, 1, 0, 0]
    assert SMALL.num_children == [2, 2, 1, 0, 1, 0, 0]
    assert SMALL.levels == [range(2), range(2, 5), range(5, 6)]
    assert SMALL.ancestors == [0b1, 0b10, 0b101, 0b1001, 0b10010, 0b101001]
    assert SMALL.retrieval == [[0, 2, -1], [1, 4, -1], [0, 3, 5]]
    assert (len(SMALL), SMALL.depth, SMALL.is_chain) == (6, 3, False)


def test_a_chain_is_a_tree():
    chain = TokenTree.chain(64)
    assert chain.is_chain
    assert chain.parents == list(range(-1, 63))
    assert chain.retrieval == [list(range(64))]
    assert chain.ancestors[63] == (1 << 64) - 1
    assert chain.within(5) == TokenTree.chain(5)


def test_the_literal_says_the_same():
    assert TokenTree.parse(str(SMALL), 3) == SMALL
    assert str(TokenTree.chain(2)) == "[(0,), (0, 0)]"


def test_widths_are_children_of_every_node():
    assert TokenTree.from_widths([2, 2]) == TokenTree.parse("[(0,), (1,), (0, 0), (0, 1), (1, 0), (1, 1)]", 2)
    assert len(TokenTree.from_widths([4, 3, 2, 1])) == 64
    assert TokenTree.from_widths([2, 2, 2]).within(1) == TokenTree.from_widths([2])
    assert len(SMALL.within(0)) == SMALL.within(0).depth == 0


@pytest.mark.parametrize(
    ("widths", "message"),
    [
        ([], r"\[\] make no tree"),
        ([2, 0], r"\[2, 0\] make no tree"),
        ([1.5], "whole numbers"),
        ([4, 4, 3], "more than 64 nodes: at most 64"),
    ],
)
def test_widths_that_make_no_tree_are_refused(widths, message):
    with pytest.raises(ConfigError, match=message):
        TokenTree.from_widths(widths)


def test_masks_equal_a_walk_up_the_parents():
    generator = random.Random(0)
    for num_nodes in (1, 7, 63, 64):
        parents = random_parents(generator, num_nodes)
        flat.check_parents(parents)
        masks = ancestor_masks(flat.ancestors(parents))
        seen = visible(masks, num_nodes)
        for i in range(num_nodes):
            above = flat.path(parents, i)
            assert seen[i].nonzero().flatten().tolist() == above
            assert len(above) == flat.depths(parents)[i]
    batch = torch.stack([masks, masks.flip(0)])
    assert torch.equal(visible(batch, 64)[1], seen.flip(0))


def test_retrieval_holds_every_path_to_a_leaf():
    parents = random_parents(random.Random(1), 40)
    rows = [[node for node in row if node >= 0] for row in flat.retrieval(parents)]
    assert sorted({node for row in rows for node in row}) == list(range(40))
    assert all(row == flat.path(parents, row[-1]) and row[-1] not in parents for row in rows)


@pytest.mark.parametrize(
    ("parents", "message"), [([-1, 1], "node 1 .* parent 1"), ([-2], "parent -2"), ([-1] * 65, "65")]
)
def test_what_is_no_tree_is_refused(parents, message):
    with pytest.raises(EngineError, match=message):
        flat.check_parents(parents)


def test_a_tree_is_drawn_as_text():
    assert SMALL.draw() == "root\n├─ 0\n│  ├─ 0\n│  └─ 1\n│     └─ 0\n└─ 1\n   └─ 0"


def test_a_published_tree_of_63_nodes():
    tree = TokenTree.parse(MEDUSA_63, 4)
    assert [len(level) for level in tree.levels] == [10, 28, 23, 2]
    assert tree.depth == 4


@pytest.mark.parametrize("text", [*STATIC_SHAPES.values(), "[(0,)]"])
def test_the_first_child_of_every_node(text):
    tree = TokenTree.parse(text, 8)
    for node in range(-1, len(tree)):
        path = tree.nodes[node] if node >= 0 else ()
        if tree.num_children[1 + node]:
            assert tree.nodes[tree.first_child[1 + node]] == (*path, 0)
