"""Verification: the kernels against their reference, and the reference against the engine's own rules."""

import random as host_random

import pytest
import torch
from kernel_checks import DEVICE, DTYPES, assert_builds, unwritten

from engine import noise
from engine.draft import Draft
from engine.drafting.children import drawn_from
from engine.sampler import Sampled
from engine.tree import flat
from engine.verify import verify as verify_chain
from engine.verify_tree import verify_tree
from kernels.verify import reference, triton
from kernels.verify.op import verify

CHAIN = list(range(-1, 5))
TREES = [CHAIN, [-1, -1, -1, 0, 0, 1, 3], [], [-1, -1, 0, 1, 1, 2, 2], [-1, -1, -1], None, [-1]]  # None: no sequence
DEPTH = 6


def step(vocab_size, dtype=torch.float32, with_q=False, seed=0, likeness=2.0, trees=TREES):
    """A batch of these trees, greedy and sampled in turn; drafts are good, so that walks are long."""
    draw = torch.Generator().manual_seed(seed)
    host = host_random.Random(seed)
    batch, most = len(trees), max(len(tree or []) for tree in trees)
    logits = unwritten(batch, 1 + most, vocab_size, dtype=dtype)
    q = unwritten(batch, most, vocab_size, dtype=torch.float32) if with_q else None
    tokens, parents = unwritten(batch, most, dtype=torch.int64), unwritten(batch, most, dtype=torch.int64)
    positions = unwritten(batch, 1 + most, dtype=torch.int64)
    counts = torch.tensor([-1 if tree is None else len(tree) for tree in trees], device=DEVICE)
    temperatures = torch.tensor([0.7 if i % 3 else 0.0 for i in range(batch)], dtype=torch.float64, device=DEVICE)
    seeds = torch.tensor([host.randrange(-(2**63), 2**63) for _ in trees], device=DEVICE)
    for b, tree in enumerate(trees):
        if tree is None:
            continue
        length = host.randrange(1, 5000)
        own = torch.randn(1 + len(tree), vocab_size, generator=draw) * likeness
        own[torch.rand(own.shape, generator=draw) < 0.2] = float("-inf")  # what a request filters out
        own[:, 0] = 0.0
        own = own.to(dtype)
        children = _children(tree, own, temperatures[b].item(), seeds[b].item(), length, draw, with_q)
        for node, (token, law) in children.items():
            tokens[b, node], parents[b, node] = token, tree[node]
            if q is not None:
                q[b, node] = law
        positions[b, : 1 + len(tree)] = length + torch.tensor([0, *flat.depths(tree)])
        logits[b, : 1 + len(tree)] = own
    return [logits, tokens, parents, counts, temperatures, seeds, positions, DEPTH, q]


def _children(tree, logits, temperature, seed, length, draw, with_q):
    """Per node its token and the law it was drawn from: the target's own, disturbed. Without q the likeliest tokens."""
    found = {}
    for parent in sorted(set(tree)):
        nodes = [node for node, above in enumerate(tree) if above == parent]
        position = length + (0 if parent < 0 else flat.depths(tree)[parent])
        row = logits[1 + parent].double() / (temperature or 1.0)
        if with_q:
            row = row + 0.5 * torch.randn(row.shape, generator=draw)
            key = int(torch.randint(1 << 62, (), generator=draw))
            drawn = (row + noise.gumbel([key], len(row), row.device)[0]).topk(len(nodes))
            laws = drawn_from(row[None], drawn.indices[None])[0]
        else:
            gumbel = noise.gumbel([noise.key(seed & ((1 << 64) - 1), position)], len(row), row.device)[0]
            drawn, laws = (row + (gumbel if temperature else 0.0)).topk(len(nodes)), [None] * len(nodes)
        order = drawn.indices.tolist()
        if not with_q and int(torch.randint(2, (), generator=draw)):
            order.reverse()
        for node, token, law in zip(nodes, order, laws, strict=True):
            found[node] = token, law
    return found


def by_the_engine(logits, tokens, parents, counts, temperatures, seeds, positions, max_depth, q):
    """The same from engine.verify_tree, or engine.verify where all are chains; (path, emitted) of every sequence."""
    found = []
    for b, count in enumerate(counts.tolist()):
        if count < 0:
            found.append(([], []))
            continue
        rows = logits[b, : 1 + count].float().cpu()
        at, sampled = {}, None
        choices = rows.argmax(-1).tolist()
        unsigned = seeds[b].item() & ((1 << 64) - 1)
        if temperatures[b] > 0:
            kept = rows.double() / temperatures[b].cpu()
            keys = [noise.key(unsigned, place) for place in positions[b, : 1 + count].tolist()]
            gumbel = noise.gumbel(keys, rows.shape[1], rows.device)
            at = {row: row for row in range(1 + count)}
            sampled = Sampled(at, kept, gumbel)
            choices = (kept + gumbel).to(rows.dtype).argmax(-1).tolist()
        tree = parents[b, :count].tolist()
        laws = None if q is None else q[b, :count].double().cpu()
        draft = Draft(tokens[b, :count].tolist(), [count], tree, laws)
        length = positions[b, 0].item()
        own = noise.step_seed(unsigned, length)
        ranked = zip(flat.depths(tree), flat.ranks(tree), strict=True)
        coins = [noise.coin(own, length + depth - 1, rank) for depth, rank in ranked]
        one = verify_tree(draft, choices, sampled, coins)
        if tree == list(range(-1, count - 1)):
            chain = verify_chain(Draft(draft.tokens, [count], None, laws), choices, sampled, coins)
            assert chain.emitted == one.emitted
        assert one.paths is not None
        found.append((one.paths[0], one.emitted[0]))
    return found


def unpadded(accepted):
    """(path, emitted) of every sequence; what is beyond them is -1."""
    paths, emitted, counts = (tensor.tolist() for tensor in accepted)
    for path, tokens, count in zip(paths, emitted, counts, strict=True):
        assert path[max(count, 0) :] == [-1] * (DEPTH - max(count, 0))
        assert tokens[count + 1 :] == [-1] * (DEPTH - count)
    return [
        (path[: max(count, 0)], tokens[: count + 1]) for path, tokens, count in zip(paths, emitted, counts, strict=True)
    ]


@pytest.mark.parametrize("with_q", [False, True])
def test_reference_is_the_engine_s_rule(with_q):
    lengths = set()
    for seed in range(12):
        given = step(11 + seed, with_q=with_q, seed=seed)
        found = unpadded(reference.verify(*given))
        assert found == by_the_engine(*given)
        lengths |= {len(path) for path, _ in found}
    assert lengths >= {0, 1, 2, 3}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("with_q", [False, True])
@pytest.mark.parametrize(("vocab_size", "block"), [(5, 16), (61, 32), (300, 256)])
def test_kernels_equal_the_reference(vocab_size, block, with_q, dtype):
    given = step(vocab_size, dtype, with_q, vocab_size)
    assert unpadded(triton.verify(*given, block=block)) == unpadded(reference.verify(*given))


def test_a_row_of_equals_gives_the_first_and_no_row_leads_outside_the_vocabulary():
    given = step(40, trees=[[], [], [], []])
    given[0][:] = torch.tensor([0.0, 1.0, float("-inf"), float("nan")])[:, None, None]
    given[4][:] = torch.tensor([0.0, 0.7, 0.0, 0.0])
    paths, emitted, num_accepted = triton.verify(*given, block=16)
    assert emitted[0, 0] == 0
    assert emitted[:2].tolist() == reference.verify(*given).emitted[:2].tolist()
    assert bool(((emitted[:, 0] >= 0) & (emitted[:, 0] < 40)).all())
    assert num_accepted.tolist() == [0] * 4
    assert bool((paths == -1).all())


def test_scores_that_tie_in_float32_go_to_the_first_as_in_the_reference():
    """At logits of 1e9 float32 has steps of 64: the noise decides nothing, and float64 alone would choose by it."""
    given = step(64, trees=[[]] * 5)
    given[0][:] = 1e9
    given[4][:] = 1.0
    assert (
        triton.verify(*given, block=32).emitted[:, 0].tolist()
        == [0] * 5
        == reference.verify(*given).emitted[:, 0].tolist()
    )


def test_where_nothing_is_left_of_p_it_stays():
    """q = 2 p takes all of p off at every rejection; coins decide in the half of the cases."""
    ends = set()
    for seed in range(2):
        given = step(15, with_q=True, seed=seed, trees=[[], [-1], [-1, -1, -1], [], [-1, 0, 0], [-1, -1, 0, 1]])
        logits, parents, counts, temperatures, q = (given[i] for i in (0, 2, 3, 4, 8))
        for b, count in enumerate(counts.tolist()):
            laws = (logits[b].double() / temperatures[b].clamp_min(0.1)).softmax(-1)
            q[b, :count] = 2 * laws[1 + parents[b, :count]].float()
        found = unpadded(triton.verify(*given, block=16))
        assert found == unpadded(reference.verify(*given)) == by_the_engine(*given)
        ends |= {len(path) for path, _ in found}
    assert ends == {0, 1, 2}


def test_siblings_may_stand_apart():
    """Between them are nodes that were not tried, and whose weights nobody wrote."""
    given = step(9, with_q=True, seed=2, trees=[[-1, 0, -1, 1, 0, -1]] * 12, likeness=1.0)
    assert unpadded(triton.verify(*given, block=16)) == unpadded(reference.verify(*given)) == by_the_engine(*given)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_q_of_other_dtypes(dtype):
    given = step(40, with_q=True, seed=5)
    given[8] = given[8].to(dtype)
    assert unpadded(triton.verify(*given, block=64)) == unpadded(reference.verify(*given))


def test_a_walk_ends_at_the_depth_asked_for():
    given = step(20, seed=1, with_q=False, likeness=9.0)
    for q in (None, step(20, seed=1, with_q=True)[8]):
        given[7:] = [2, q]
        got, expected = triton.verify(*given, block=32), reference.verify(*given)
        assert got.num_accepted.tolist() == expected.num_accepted.tolist()
        assert torch.equal(got.emitted, expected.emitted)
        assert torch.equal(got.paths, expected.paths)
    assert max(reference.verify(*given[:7], 6, None).num_accepted.tolist()) > 2


def test_a_real_vocabulary():
    given = step(151_936, trees=[[], [0][:0]], seed=3)
    given[4][:] = 1.0
    assert triton.verify(*given).emitted.tolist() == reference.verify(*given).emitted.tolist()


@pytest.mark.parametrize("with_q", [False, True])
def test_operator_passes_torch_s_own_checks(with_q):
    torch.library.opcheck(verify, step(7, with_q=with_q))


def launches() -> None:
    from kernels.verify.triton import verify as launch

    def meta(*shape, dtype=torch.int64):
        return torch.empty(shape, dtype=dtype, device="meta")

    cases = [(dtype, 7, 151936, torch.float32) for dtype in DTYPES]
    cases += [(torch.bfloat16, 7, 151936, None), (torch.float32, 64, 128257, torch.float64)]
    for dtype, nodes, size, q_dtype in cases:
        request = meta(4, dtype=torch.float64), meta(4), meta(4, 1 + nodes)
        q = None if q_dtype is None else meta(4, nodes, size, dtype=q_dtype)
        logits = meta(4, 1 + nodes, size, dtype=dtype)
        launch(logits, meta(4, nodes), meta(4, nodes), meta(4), *request, 7, q)


def test_compiles_for_every_chip():
    assert_builds(launches)
