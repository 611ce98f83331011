"""Block verification of chains: its exact law, what it wins, and the randomness it needs."""

import pytest
import torch

from engine.tree.token_tree import TokenTree
from engine.verify_block import reject_block
from tests.engine.laws import Coin, Laws, bias, emitted_law, mean_accepted
from tests.engine.lazy_tree import rejection


def block_step(p, q, depth, prefix, coins, choose):
    """What a step emits after `prefix`, with every row at hand as in the engine."""
    tokens = []
    for _ in range(depth):
        tokens.append(choose(q[(*prefix, *tokens)].tolist()))
    prefixes = [(*prefix, *tokens[:i]) for i in range(depth + 1)]
    rows_p, rows_q = torch.stack([p[x] for x in prefixes]), torch.stack([q[x] for x in prefixes[:-1]])
    kept, rest = reject_block(tokens, rows_q, rows_p, coins)
    return [*tokens[:kept], choose((rest / rest.sum()).tolist())]


def block(p, q, depth):
    return lambda choose: block_step(p, q, depth, (), [Coin(choose) for _ in range(depth)], choose)


@pytest.mark.parametrize(("size", "depth"), [(3, 1), (3, 2), (3, 3), (4, 2), (5, 2)])
@pytest.mark.parametrize("sparse", [False, True])
def test_the_law_is_the_targets_and_no_fewer_tokens_are_accepted(size, depth, sparse):
    won = []
    for seed in range(4):
        p, q = Laws(seed, size, sparse), Laws(1000 + seed, size, sparse)
        law = emitted_law(block(p, q, depth))
        assert bias(law, p, depth + 1) < 1e-12
        won.append(mean_accepted(law) - mean_accepted(emitted_law(rejection(TokenTree.chain(depth), p, q))))
    assert min(won) > -1e-12
    assert depth == 1 or sparse or max(won) > 1e-3


def test_a_draft_that_is_the_target_is_kept_whole():
    p = Laws(0, 3, False)
    assert mean_accepted(emitted_law(block(p, p, 3))) == pytest.approx(3.0)


@pytest.mark.parametrize(("keyed", "is_biased"), [("by step", False), ("by position", True)])
def test_coins_of_a_rejected_place_must_not_be_used_again(keyed, is_biased):
    """Two tokens by one or two steps; the coin of the second place was looked at in the first step already."""
    found = []
    for seed in range(8):
        p, q = Laws(seed, 2, False), Laws(1000 + seed, 2, False)

        def steps(choose, p=p, q=q):
            coins, tokens = [Coin(choose) for _ in range(4)], []
            while len(tokens) < 2:
                if keyed == "by step":
                    coins = [Coin(choose) for _ in range(4)]
                tokens += block_step(p, q, 2, tuple(tokens), coins[len(tokens) :], choose)
            return tokens[:2]

        found.append(bias(emitted_law(steps), p, 2))
    assert max(found) > 0.02 if is_biased else max(found) < 1e-12
