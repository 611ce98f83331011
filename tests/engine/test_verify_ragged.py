"""Verification of a whole draft: trees, chains and empty drafts of greedy and sampled requests in one call."""

import random
from dataclasses import replace

import pytest
import torch

from engine import noise
from engine.draft import Draft
from engine.errors import EngineError
from engine.sampler import Sampled
from engine.tree import flat
from engine.tree.token_tree import TokenTree
from engine.verify import verify
from engine.verify_tree import verify_tree

SIZE = 3


def step(parents, is_sampled, has_probs, seed=0):
    """A draft of these trees with random tokens, and the target's choices, laws and coins for it."""
    generator = torch.Generator().manual_seed(seed)
    nodes, rows = sum(map(len, parents)), sum(map(len, parents)) + len(parents)
    logits = torch.randn(rows, SIZE, generator=generator, dtype=torch.float64)
    gumbel = noise.gumbel(list(range(rows)), SIZE, logits.device)
    at, row, choices = {}, 0, logits.argmax(-1).tolist()
    for tree, sampled in zip(parents, is_sampled, strict=True):
        for _ in range(1 + len(tree)):
            if sampled:
                choices[row] = int((logits[row] + gumbel[row]).argmax())
                at[row] = len(at)
            row += 1
    places = list(at)
    probs = torch.rand(nodes, SIZE, generator=generator, dtype=torch.float64) if has_probs else None
    probs = probs / probs.sum(-1, keepdim=True) if probs is not None else None
    tokens = torch.randint(0, SIZE, (nodes,), generator=generator).tolist()
    draft = Draft(tokens, [len(tree) for tree in parents], [parent for tree in parents for parent in tree], probs)
    return draft, choices, Sampled(at, logits[places], gumbel[places]), [noise.coin(7, i) for i in range(nodes)]


@pytest.mark.parametrize("has_probs", [False, True])
def test_chains_get_what_verify_gives(has_probs):
    chains = [list(range(-1, count - 1)) for count in (3, 0, 5, 1, 4, 2)]
    for seed in range(20):
        draft, *rest = step(chains, [True, True, False, True, False, True], has_probs, seed)
        expected = verify(replace(draft, parents=None), *rest)
        for shape in (draft, replace(draft, parents=None)):
            found = verify_tree(shape, *rest)
            assert (found.num_accepted, found.emitted) == (expected.num_accepted, expected.emitted)
            assert found.paths == [list(range(count)) for count in expected.num_accepted]


@pytest.mark.parametrize("has_probs", [False, True])
def test_a_tree_gets_the_same_alone_and_among_others(has_probs):
    trees = [[-1, -1, 0, 0, 1], [], [-1, 0, 1], [-1, -1, -1, 1, 1, 3]]
    is_sampled = [True, True, False, True]
    for seed in range(20):
        draft, choices, sampled, coins = step(trees, is_sampled, has_probs, seed)
        together = verify_tree(draft, choices, sampled, coins)
        node = row = 0
        for i, tree in enumerate(trees):
            nodes, rows = slice(node, node + len(tree)), range(row, row + len(tree) + 1)
            probs = draft.probs[nodes] if draft.probs is not None else None
            alone = Draft(draft.tokens[nodes], [len(tree)], tree, probs)
            own = replace_rows(sampled, rows)
            found = verify_tree(alone, choices[rows.start : rows.stop], own, coins[nodes])
            assert (found.emitted[0], found.paths[0]) == (together.emitted[i], together.paths[i])
            node, row = nodes.stop, rows.stop


def replace_rows(sampled, rows):
    return Sampled({row - rows.start: sampled.at[row] for row in rows if row in sampled.at}, *sampled[1:])


def test_descent_takes_the_longest_path_of_choices():
    """Against the definition: of all paths whose every token was chosen before it, the longest; then the choice."""
    generator = random.Random(0)
    for seed in range(50):
        parents = TokenTree.from_widths([generator.randint(1, 3) for _ in range(3)]).parents
        draft, choices, sampled, _ = step([parents], [seed % 2 == 0], False, seed)
        tokens = [(seed + rank) % SIZE for rank in flat.ranks(parents)]
        draft = replace(draft, tokens=tokens)  # siblings differ
        found = verify_tree(draft, choices, sampled)
        chosen = [
            [draft.tokens[node] for node in nodes]
            for nodes in ([], *(flat.path(parents, node) for node in range(len(parents))))
            if all(draft.tokens[node] == choices[1 + parents[node]] for node in nodes)
        ]
        assert found.emitted[0][:-1] == max(chosen, key=len)
        assert found.emitted[0][-1] == choices[1 + found.paths[0][-1] if found.paths[0] else 0]


def test_block_verification_refuses_trees():
    draft, *rest = step([[-1, -1]], [True], True)
    with pytest.raises(EngineError, match="block verification is for chains"):
        verify_tree(draft, *rest, rule="block")
    draft, *rest = step([[-1, 0]], [True], True)
    assert verify_tree(draft, *rest, rule="block").num_accepted[0] in (0, 1, 2)
