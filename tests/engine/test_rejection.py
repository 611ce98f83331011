"""Rejection sampling of drafts with probabilities: exact laws on tiny vocabularies, and the engine end to end."""

import itertools

import pytest
import torch

from engine import Engine, SamplingParams, noise
from engine.verify import accept_probability, reject, residual
from tests.engine.conftest import save_model
from tests.engine.laws import Laws


def emitted_law(p, q, depth, prefix=()):
    """Law of what one step emits after `prefix` with `depth` drafts left: {tokens: probability}, exactly."""
    if depth == 0:
        return {(x,): p[prefix][x].item() for x in range(p.size)}
    chances = accept_probability(p[prefix], q[prefix])
    rest = residual(p[prefix], q[prefix])
    rest = rest / rest.sum()
    refused = (q[prefix] * (1 - chances)).sum()
    law = {(x,): (refused * rest[x]).item() for x in range(p.size)}
    for x in range(p.size):
        for tail, mass in emitted_law(p, q, depth - 1, (*prefix, x)).items():
            law[(x, *tail)] = law.get((x, *tail), 0.0) + (q[prefix][x] * chances[x]).item() * mass
    return law


def joint_law(p, q, depth, length, prefix=()):
    """Law of the next `length` tokens when steps follow each other."""
    law = {}
    for tokens, mass in emitted_law(p, q, depth, prefix).items():
        if len(tokens) >= length:
            law[tokens[:length]] = law.get(tokens[:length], 0.0) + mass
        else:
            for tail, more in joint_law(p, q, depth, length - len(tokens), (*prefix, *tokens)).items():
                law[tokens + tail] = law.get(tokens + tail, 0.0) + mass * more
    return law


@pytest.mark.parametrize(("size", "depth"), [(3, 1), (3, 2), (3, 3), (4, 2), (5, 2)])
@pytest.mark.parametrize("sparse", [False, True])
def test_the_law_of_the_output_is_the_targets_exactly(size, depth, sparse):
    for seed in range(20):
        p, q = Laws(seed, size, sparse), Laws(1000 + seed, size, sparse)
        law = joint_law(p, q, depth, 2)
        for a, b in itertools.product(range(size), repeat=2):
            assert law.get((a, b), 0.0) == pytest.approx((p[()][a] * p[(a,)][b]).item(), abs=1e-13)


def test_reject_draws_what_its_law_says():
    """Coins and noise by key, as the engine makes them: counts over 20,000 seeds against the exact law."""
    p = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]], dtype=torch.float64)
    q = torch.tensor([[0.2, 0.2, 0.6]], dtype=torch.float64)
    counts, draws = torch.zeros(3, dtype=torch.float64), 20_000
    noises = noise.gumbel([noise.key(seed, 0) for seed in range(draws)], 3, p.device)
    drafts = (q.log() + noise.gumbel([noise.key(s, 0, noise.DRAFT) for s in range(draws)], 3, p.device)).argmax(-1)
    for seed, token in enumerate(drafts.tolist()):
        accepted, last = reject([token], q, p, [noise.coin(seed, 0)], noises[seed].expand(2, 3))
        counts[token if accepted else last] += 1
    assert chi_square(counts, p[0] * draws) < 13.8  # 2 degrees of freedom, one in a thousand


def chi_square(found, expected):
    return ((found - expected) ** 2 / expected).sum().item()


def test_a_draft_token_of_probability_zero_is_never_accepted():
    p = torch.tensor([[0.0, 1.0], [0.5, 0.5]], dtype=torch.float64)
    q = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    assert reject([0], q, p, [1e-300], torch.zeros(2, 2, dtype=torch.float64)) == (0, 1)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A random target of few tokens and a draft that resembles it."""
    root = tmp_path_factory.mktemp("pair")
    target = save_model(root / "target", seed=3, vocab_size=5, num_hidden_layers=1, eos_token_id=None)
    logits = {}
    with torch.inference_mode():
        for prefix in [(), *((a,) for a in range(5))]:
            logits[prefix] = (target(torch.tensor([[1, 3, *prefix]])).logits[0, -1].double() / 2.0).softmax(-1)
    with torch.no_grad():
        for parameter in target.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    target.save_pretrained(root / "draft")
    return root, logits


@pytest.mark.parametrize("how", ["greedy", "probabilistic", "coupled"])
def test_sampled_output_has_the_targets_law_end_to_end(pair, how):
    """Two tokens after the prompt's first, over 5,000 seeds: chi-square against the target's exact joint law."""
    root, law = pair
    settings = {"method": "draft_model", "model": str(root / "draft"), "num_speculative_tokens": 2}
    engine = Engine.load(root / "target", settings | {"draft_sample_method": how}, max_num_seqs=64, num_threads=1)
    draws = 5000
    params = [SamplingParams(max_tokens=3, temperature=2.0, seed=seed, ignore_eos=True) for seed in range(draws)]
    outputs = engine.generate([[1, 3]] * draws, params)
    counts = torch.zeros(5, 5, dtype=torch.float64)
    for output in outputs:
        counts[output.token_ids[0], output.token_ids[1]] += 1
    expected = torch.stack([law[()][a] * law[(a,)] for a in range(5)]) * draws
    assert 0 < engine.stats.acceptance_rate < 1
    assert chi_square(counts, expected) < 51.2  # 24 degrees of freedom, one in a thousand


def test_coupled_drafts_leave_a_seeded_request_as_it_was_and_are_accepted_more_than_greedy_ones(pair):
    root, _ = pair
    params = [SamplingParams(max_tokens=24, temperature=2.0, seed=seed, ignore_eos=True) for seed in range(40)]
    engine = Engine.load(root / "target", None, max_num_seqs=8, num_threads=1)
    alone = [output.token_ids for output in engine.generate([[1, 3]] * 40, params)]
    rates = {}
    for how in ("greedy", "coupled", "probabilistic"):
        settings = {"method": "draft_model", "model": str(root / "draft"), "num_speculative_tokens": 3}
        engine.configure_speculation(settings | {"draft_sample_method": how})
        outputs = [output.token_ids for output in engine.generate([[1, 3]] * 40, params)]
        rates[how] = engine.stats.acceptance_rate
        assert (outputs == alone) == (how != "probabilistic")
    assert rates["probabilistic"] > rates["coupled"] > rates["greedy"]
