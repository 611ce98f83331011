"""Two processes say what one says, token for token, in fp32."""

import itertools
from pathlib import Path

import pytest

from engine import SamplingParams
from tests.engine.drafts import settings_for
from tests.engine.parallel.conftest import both, parallel

MODEL = Path(__file__).resolve().parents[3] / "models" / "tiny"

PROMPTS = [[1, 5, 6, 7, 8, 9, 5, 6, 7], [1, 20, 30], [1, *range(40, 72)]]
SAMPLED = [SamplingParams(max_tokens=n, temperature=1.0, seed=n, ignore_eos=True) for n in (16, 12, 9)]
UNSEEDED = [SamplingParams(max_tokens=n, temperature=0.9, top_k=20, ignore_eos=True) for n in (9, 14, 20)]
GREEDY = SamplingParams(max_tokens=12, temperature=0.0, ignore_eos=True, logprobs=2)
# Of few tokens, so that lookup finds something, and is wrong at times.
NARROW = SamplingParams(max_tokens=24, ignore_eos=True, seed=1, temperature=1.0, logit_bias={5: 12.0, 6: 12.0, 7: 12.0})
TREE = "[(0,), (1,), (0, 0), (0, 1), (1, 0)]"
SPLIT, WHOLE = {"draft_tensor_parallel_size": 2}, {"draft_tensor_parallel_size": 1}
CASES = [
    ("none", {}),
    ("ngram", {"num_speculative_tokens": 3}),
    ("ngram", {"speculative_token_tree": TREE}),
    ("suffix", {"num_speculative_tokens": 3}),
    *((method, size) for method in ("draft_model", "eagle", "eagle3", "mtp") for size in (SPLIT, WHOLE)),
    ("eagle3", SPLIT | {"speculative_token_tree": TREE}),
    ("eagle3", WHOLE | {"dynamic_tree_topk": 3, "dynamic_tree_num_draft_tokens": 6}),
    ("draft_model", SPLIT | {"speculative_token_tree": TREE, "draft_sample_method": "probabilistic"}),
    ("medusa", {}),
    ("mlp_speculator", {}),
]
FUSED = [
    ("none", {}),
    ("ngram", {"speculative_token_tree": TREE}),
    ("draft_model", SPLIT),
    ("eagle3", SPLIT),
    ("eagle3", WHOLE | {"speculative_token_tree": TREE}),
]
ids = [f"{method} {' '.join(map(str, given.values()))[:24]}" for method, given in CASES]


def settings(method, given, folder):
    if method == "none":
        return None
    model = {"model": ""} if method not in ("ngram", "suffix") else {}
    wanted = {"method": method} | model | given
    if "speculative_token_tree" not in given:
        wanted = {"num_speculative_tokens": 1 if method == "mtp" else 2} | wanted
    return settings_for(wanted, folder / "target", folder)


def told(engine, prompts, params):
    """Tokens, and what was counted of drafts."""
    outputs = engine.generate(prompts, params)
    return [output.token_ids for output in outputs], engine.stats.num_draft_tokens, engine.stats.num_accepted_tokens


@pytest.fixture(scope="module")
def fixed(folder):
    """Fused layers, decoding in steps of fixed shapes; prompts and what these cannot do go as in eager steps."""
    with parallel(folder / "target", kernels="fused", enforce_eager=False) as engine:
        yield engine


@pytest.mark.parametrize(("method", "given"), CASES, ids=ids)
def test_all_methods(one, two, folder, method, given):
    agree(one, two, method, given, folder)


@pytest.mark.parametrize(("method", "given"), FUSED, ids=[f"{method} {len(given)}" for method, given in FUSED])
def test_fused_layers_in_fixed_steps(one, fixed, folder, method, given):
    agree(one, fixed, method, given, folder)
    assert fixed.captured_stats.num_steps > 0


def agree(one, two, method, given, folder):
    config = settings(method, given, folder)
    alone = {key: value for key, value in (config or {}).items() if key != "draft_tensor_parallel_size"}
    one.configure_speculation(alone or None)
    two.configure_speculation(config)
    two.warm_up(2)
    for prompts, params in ((PROMPTS, SAMPLED), (PROMPTS, GREEDY), (PROMPTS[2:], GREEDY), (PROMPTS[:1], NARROW)):
        assert told(two, prompts, params) == told(one, prompts, params)
    assert (two.stats.num_draft_tokens > 0) is (method != "none")
    one.reset()
    two.reset()


def test_unseeded_requests_are_keyed_alike(one, two):
    """By their number, which rank 0 counts."""
    for engine in (one, two):
        engine.configure_speculation(None)
        engine._ids = itertools.count(100)
    assert told(two, PROMPTS, UNSEEDED) == told(one, PROMPTS, UNSEEDED)


def test_who_computes_what_is_on_record(one, two, folder):
    facts, alone = two.environment(), one.environment()
    assert (facts["tensor_parallel_size"], facts["tensor_parallel_backend"]) == (2, "gloo")
    assert alone["tensor_parallel_size"] == 1
    assert "tensor_parallel_backend" not in alone
    assert facts["kv_cache_bytes"] * 2 == alone["kv_cache_bytes"]
    cached = []
    for size in (SPLIT, WHOLE):
        two.configure_speculation(settings("eagle3", size, folder))
        cached.append(two._proposer.cache.num_bytes)
    assert cached[1] == 2 * cached[0]


def test_what_is_measured_is_decided_by_one():
    """Threads and product; this model's weights are exact in fp16, so there is a choice."""
    with_auto = {"max_num_seqs": 1, "max_model_len": 64}
    found = []
    for engine in both(MODEL, **with_auto, num_threads="auto"):
        found.append(engine.generate([[1, 50, 60, 70]], GREEDY)[0].token_ids)
        assert engine.environment()["linear"] in ("half_packed", "torch")
        engine.close()
    assert found[0] == found[1]
