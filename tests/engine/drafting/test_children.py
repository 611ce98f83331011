"""Children drawn without replacement by keyed noise: their law, what is kept of it, and a whole step end to end."""

import itertools
from types import SimpleNamespace
from typing import get_args

import pytest
import torch

from engine import SamplingParams, noise
from engine.draft import Draft
from engine.drafting.children import draw_without_replacement, drawn_from, pick_children
from engine.drafting.sampling import pick
from engine.sampler import Sampled
from engine.speculative_config import DraftSampleMethod
from engine.tree.token_tree import TokenTree
from engine.verify_tree import verify_tree
from tests.engine.laws import Laws

METHODS = get_args(DraftSampleMethod)
LAW = torch.tensor([0.5, 0.25, 0.2, 0.05], dtype=torch.float64)


def requests(count, **params):
    """Requests of three tokens, each with a seed of its own."""
    return [SimpleNamespace(seed=i, tokens=[0] * 3, params=SamplingParams(**params)) for i in range(count)]


def chi_square(found, expected):
    return ((found - expected) ** 2 / expected).sum().item()


def test_ordered_draws_have_the_law_of_draws_without_replacement():
    """20,000 seeds: the first token has q(a), the second after it q(b) / (1 - q(a))."""
    draws = 20_000
    gumbel = noise.gumbel([noise.key(seed, 3, noise.DRAFT) for seed in range(draws)], 4, LAW.device)
    tokens = draw_without_replacement(LAW.log().expand(draws, 4), gumbel, 2)
    pairs = list(itertools.permutations(range(4), 2))
    expected = torch.stack([LAW[a] * LAW[b] / (1 - LAW[a]) for a, b in pairs]) * draws
    counts = torch.tensor([((tokens[:, 0] == a) & (tokens[:, 1] == b)).sum() for a, b in pairs])
    assert counts.sum() == draws
    assert chi_square(counts, expected) < 31.3  # 11 degrees of freedom, one in a thousand


def test_what_each_was_drawn_from_leaves_out_those_before():
    found = drawn_from(LAW.log()[None], torch.tensor([[2, 0, 3, 1]]))[0]
    left = LAW.clone()
    for row, token in zip(found, [2, 0, 3, 1], strict=True):
        assert torch.allclose(row, left / left.sum(), atol=1e-15)
        left[token] = 0


def test_a_law_with_fewer_tokens_than_children_leaves_rows_of_zeros():
    owners = requests(1, temperature=1.0, top_k=2)
    children = pick_children("probabilistic", LAW.log()[None], owners, 0, 3)
    assert sorted(children.tokens[0, :2].tolist()) == [0, 1]
    assert children.probs[0].sum(-1).tolist() == pytest.approx([1.0, 1.0, 0.0])


@pytest.mark.parametrize("method", METHODS)
def test_the_first_child_is_what_a_chain_drafts(method):
    owners = [*requests(50, temperature=0.7, top_p=0.9), *requests(2, temperature=0.0)]
    logits = torch.randn(52, 30, generator=torch.Generator().manual_seed(0))
    children, chain = pick_children(method, logits, owners, 2, 3), pick(method, logits, owners, 2)
    assert children.tokens[:, 0].tolist() == chain.tokens.tolist()
    assert all(len(set(row)) == 3 for row in children.tokens.tolist())
    assert (children.probs is None) == (chain.probs is None) == (method != "probabilistic")
    if chain.probs is not None:
        assert torch.allclose(children.probs[:50, 0], chain.probs[:50], atol=1e-15)


TREE = TokenTree.parse("[(0,), (1,), (0, 0), (0, 1), (1, 0)]", 2)


def drafted(owners, q, method):
    """A draft of TREE for every request: all get two children a node, and the last of node 1 is left out."""
    count = len(owners)
    first = pick_children(method, q[()].log().expand(count, -1), owners, 0, 2)
    seconds = [
        pick_children(method, torch.stack([q[(t,)].log() for t in first.tokens[:, rank].tolist()]), owners, 1, 2)
        for rank in range(2)
    ]
    tokens = torch.cat([first.tokens, seconds[0].tokens, seconds[1].tokens[:, :1]], 1)
    probs = None
    if first.probs is not None:
        probs = torch.cat([first.probs, seconds[0].probs, seconds[1].probs[:, :1]], 1).flatten(0, 1)
    return Draft(tokens.flatten().tolist(), [len(TREE)] * count, TREE.parents * count, probs)


def sampled_rows(owners, draft, p):
    """The target's rows for it: (root, then nodes) of every request."""
    laws, keys = [], []
    for i, owner in enumerate(owners):
        tokens = draft.tokens[i * len(TREE) : (i + 1) * len(TREE)]
        prefixes = [
            (),
            *((tokens[n],) if TREE.parents[n] < 0 else (tokens[TREE.parents[n]], tokens[n]) for n in range(5)),
        ]
        laws += [p[prefix].log() for prefix in prefixes]
        keys += [noise.key(owner.seed, 3 + depth) for depth in (0, *TREE.depths)]
    size = laws[0].shape[0]
    return Sampled({row: row for row in range(len(laws))}, torch.stack(laws), noise.gumbel(keys, size, laws[0].device))


@pytest.mark.parametrize("method", METHODS)
def test_a_step_of_drawn_children_has_the_targets_law(method):
    """Two tokens over 4,000 seeds; without q they are the tokens of the run without drafts, seed for seed."""
    p, q, count = Laws(0, 4, False), Laws(1, 4, False), 4000
    owners = requests(count, temperature=1.0)
    draft = drafted(owners, q, method)
    sampled = sampled_rows(owners, draft, p)
    coins = [noise.coin(o.seed, 2 + d, rank) for o in owners for d, rank in zip(TREE.depths, TREE.ranks, strict=True)]
    choices = (sampled.filtered + sampled.noise).argmax(-1).tolist()
    verified = verify_tree(draft, choices, sampled, coins)
    alone = own_tokens(owners, p)
    emitted = [
        tokens if len(tokens) > 1 else [*tokens, after[tokens[0]]]
        for tokens, after in zip(verified.emitted, alone[1], strict=True)
    ]
    assert 0.3 < sum(verified.num_accepted) / count < 2
    if method == "probabilistic":
        counts = torch.zeros(4, 4, dtype=torch.float64)
        for tokens in emitted:
            counts[tokens[0], tokens[1]] += 1
        expected = torch.stack([p[()][a] * p[(a,)] for a in range(4)]) * count
        assert chi_square(counts, expected) < 37.7  # 15 degrees of freedom, one in a thousand
    else:
        assert [tokens[0] for tokens in emitted] == alone[0]
        assert all(tokens[1] == after[tokens[0]] for tokens, after in zip(emitted, alone[1], strict=True))


def own_tokens(owners, p):
    """Of a run without drafts: every request's first token, and its second after each possible first."""
    gumbel = [noise.gumbel([noise.key(o.seed, 3 + i) for o in owners], 4, LAW.device) for i in range(2)]
    second = (torch.stack([p[(a,)].log() for a in range(4)]) + gumbel[1][:, None]).argmax(-1)
    return (p[()].log() + gumbel[0]).argmax(-1).tolist(), second.tolist()
