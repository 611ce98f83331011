"""What `rejection_sample_method` does to a served batch: the law of the output, the counters, and what is refused."""

from types import SimpleNamespace

import pytest
import torch

from engine import Engine, SamplingParams
from engine.draft import Draft
from engine.drafting.sampling import noise_keys
from engine.errors import ConfigError
from engine.proposers import resolve
from engine.speculative_config import SpeculativeConfig
from engine.verification import coins, synthetic_rates
from tests.engine.conftest import save_model

TREE = {"speculative_token_tree": "[(0,), (1,), (2,), (0, 0), (0, 1), (1, 0)]"}
DRAWS = 20_000
CRITICAL = 51.2  # 24 degrees of freedom, one in a thousand


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A random target of five tokens, a draft that resembles it, and the target's law of two tokens after [1, 3]."""
    root = tmp_path_factory.mktemp("pair")
    target = save_model(root / "target", seed=3, vocab_size=5, num_hidden_layers=1, eos_token_id=None)
    laws = {}
    with torch.inference_mode():
        for prefix in [(), *((a,) for a in range(5))]:
            laws[prefix] = (target(torch.tensor([[1, 3, *prefix]])).logits[0, -1].double() / 2.0).softmax(-1)
    with torch.no_grad():
        for parameter in target.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    target.save_pretrained(root / "draft")
    return root, torch.stack([laws[()][a] * laws[(a,)] for a in range(5)])


@pytest.fixture(scope="module")
def engine(pair):
    return Engine.load(pair[0] / "target", None, max_num_seqs=256, num_threads=1, max_num_batched_tokens=4096)


def settings(pair, **more):
    return {"method": "draft_model", "model": str(pair[0] / "draft"), "num_speculative_tokens": 2} | more


def counted(engine, draws=DRAWS, max_tokens=3):
    """[5, 5] how often each pair of tokens came first."""
    params = [SamplingParams(max_tokens=max_tokens, temperature=2.0, seed=i, ignore_eos=True) for i in range(draws)]
    outputs = engine.generate([[1, 3]] * draws, params)
    found = torch.zeros(5, 5, dtype=torch.float64)
    for output in outputs:
        found[output.token_ids[0], output.token_ids[1]] += 1
    return found


def chi_square(found, expected):
    return ((found - expected) ** 2 / expected).sum().item()


@pytest.mark.parametrize("how", ["greedy", "probabilistic", "coupled"])
def test_a_sampled_tree_run_has_the_law_of_a_run_without_speculation(engine, pair, how):
    """20,000 seeds against 20,000 others of `none` (two-sample chi-square), and against the exact law."""
    engine.configure_speculation(None)
    plain = counted(engine)
    engine.configure_speculation(settings(pair, draft_sample_method=how, **TREE))
    params = SamplingParams(max_tokens=3, temperature=2.0, ignore_eos=True)
    found = torch.zeros(5, 5, dtype=torch.float64)
    for output in engine.generate([[1, 3]] * DRAWS, params):  # seeds of the engine's own: independent of those above
        found[output.token_ids[0], output.token_ids[1]] += 1
    assert 0.2 < engine.stats.num_accepted_tokens / engine.stats.num_drafts < 2
    assert chi_square(found, pair[1] * DRAWS) < CRITICAL
    assert ((found - plain) ** 2 / (found + plain).clamp(min=1)).sum() < CRITICAL


def test_block_verification_has_the_targets_law_and_accepts_no_less(engine, pair):
    accepted = {}
    for rule in ("standard", "block"):
        engine.configure_speculation(
            settings(pair, draft_sample_method="probabilistic", rejection_sample_method=rule, num_speculative_tokens=3)
        )
        found = counted(engine, DRAWS // 2, max_tokens=5)
        assert chi_square(found, pair[1] * DRAWS / 2) < CRITICAL
        accepted[rule] = engine.stats.mean_acceptance_length
    assert accepted["block"] > accepted["standard"] - 0.005


def test_typical_acceptance_is_lossy_for_sampled_requests_and_exact_for_greedy_ones(engine, pair):
    engine.configure_speculation(None)
    greedy = SamplingParams(max_tokens=12, temperature=0.0, ignore_eos=True)
    plain = engine.generate([[1, 3]], greedy)[0].token_ids
    given = settings(pair, rejection_sample_method="typical", **TREE)
    engine.configure_speculation(given)
    assert engine.speculative_config.output_law == "lossy"
    assert engine.generate([[1, 3]], greedy)[0].token_ids == plain
    found = counted(engine, 4000)
    loose = engine.stats.mean_acceptance_length
    assert chi_square(found, pair[1] * 4000) > 2 * CRITICAL  # not the target's law
    engine.configure_speculation(given | {"posterior_threshold": 0.9, "posterior_alpha": 1.0})
    counted(engine, 2000)
    assert loose > engine.stats.mean_acceptance_length


@pytest.mark.parametrize("tree", [{}, TREE], ids=["chain", "tree"])
def test_synthetic_acceptance_has_the_rates_that_were_asked_for(engine, pair, tree):
    rates = [0.8, 0.3]
    given = settings(pair, rejection_sample_method="synthetic", synthetic_acceptance_rates=rates, **tree)
    engine.configure_speculation(given)
    assert engine.speculative_config.output_law == "synthetic"
    params = [SamplingParams(max_tokens=40, temperature=0.0, ignore_eos=True, seed=i) for i in range(256)]
    engine.generate([[1, 3]] * 256, params)
    found = engine.stats.acceptance_per_position
    assert found == pytest.approx(rates, abs=0.03)


@pytest.mark.parametrize(("length", "most"), [(1.0, 4), (2.2, 4), (5.0, 4), (1.5, 1)])
def test_a_synthetic_length_is_the_mean_of_its_rates(length, most):
    config = SpeculativeConfig(method="ngram", num_speculative_tokens=most, synthetic_acceptance_length=length)
    rates = synthetic_rates(config)
    assert 1 + sum(rates) == pytest.approx(length)
    assert sorted(rates, reverse=True) == rates


NGRAM = {"method": "ngram", "num_speculative_tokens": 2}
EAGLE = {"method": "eagle", "num_speculative_tokens": 2, "model": "head"}


@pytest.mark.parametrize(("given", "message"), [
    (NGRAM | {"rejection_sample_method": "fly"}, "rejection_sample_method='fly' is not allowed: standard, block"),
    (NGRAM | {"rejection_sample_method": "block"}, "block needs the drafts' probabilities: draft_sample_method=pro"),
    (NGRAM | {"rejection_sample_method": "synthetic"}, "needs one of synthetic_acceptance_rates and"),
    (NGRAM | {"rejection_sample_method": "synthetic", "synthetic_acceptance_length": 3.5}, "a number from 1 to 3"),
    (NGRAM | {"rejection_sample_method": "synthetic", "synthetic_acceptance_rates": [0.5]}, "2 numbers from 0 to 1"),
    (NGRAM | {"rejection_sample_method": "synthetic", "synthetic_acceptance_rates": [0.5, 0.6]}, "none above the one"),
    (NGRAM | {"synthetic_acceptance_length": 2.0}, "no effect with rejection_sample_method=standard"),
    (NGRAM | {"posterior_alpha": 0.2}, "no effect with rejection_sample_method=standard: only typical"),
    (NGRAM | {"rejection_sample_method": "typical", "posterior_alpha": 0}, "posterior_alpha=0 is not allowed"),
    (NGRAM | {"dynamic_tree_topk": 4}, "dynamic_tree_topk has no effect with method ngram"),
    ({"method": "none", "rejection_sample_method": "typical"}, "rejection_sample_method has no effect with"),
])  # fmt: skip
def test_what_does_not_go_together_is_refused(given, message):
    with pytest.raises(ConfigError, match=message):
        resolve(given)


@pytest.mark.parametrize(("more", "message"), [
    ({"rejection_sample_method": "block", "draft_sample_method": "probabilistic"} | TREE, "block is not allowed"),
    ({"dynamic_tree_topk": 3} | TREE, "dynamic_tree_topk and speculative_token_tree exclude each other"),
    ({"dynamic_tree_topk": 3, "draft_sample_method": "probabilistic"}, "p/q tests on them would bias the output"),
    ({"dynamic_tree_topk": 0}, "dynamic_tree_topk=0 is not allowed: a whole number from 1 to 64"),
    ({"dynamic_tree_num_draft_tokens": 65}, "dynamic_tree_num_draft_tokens=65 is not allowed"),
])  # fmt: skip
def test_what_would_bias_the_output_is_refused(more, message):
    from engine.verification_config import complete_verification

    with pytest.raises(ConfigError, match=message):
        complete_verification(SpeculativeConfig(**(EAGLE | more)))


def test_a_step_draws_anew_for_positions_that_the_one_before_drew_for():
    """Block verification keeps a draft for the sake of later ones, so what it threw away must not come again."""
    owners = [SimpleNamespace(seed=4, tokens=[0] * length) for length in (5, 6)]
    keys = [noise_keys("probabilistic", [owners[0]], 1), noise_keys("probabilistic", [owners[1]], 0)]
    assert keys[0] != keys[1]
    assert noise_keys("coupled", [owners[0]], 1) == noise_keys("coupled", [owners[1]], 0)
    chain = Draft.chains([[1, 1]])
    assert coins(owners[:1], chain)[1] != coins(owners[1:], chain)[0]
