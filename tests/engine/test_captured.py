"""Steps of fixed shape against steps as they come: the same tokens, of the same drafts, for every method."""

import pytest
import torch

from engine import Engine, SamplingParams, sampler
from engine.captured import draft_graphs, prompt_step, target_step
from engine.captured.prompt_step import prompt_buckets
from engine.captured.sizes import batch_buckets, bucket, node_bucket
from engine.errors import ConfigError
from tests.engine.captured_cases import MODEL, ROOT, TREE, load, prompts_for, run, wishes
from tests.engine.drafts import METHODS, settings_of
from tests.engine.recorded_graph import RecordedGraph
from tests.engine.test_fused_path import with_draft

DYNAMIC = {"dynamic_tree_topk": 10, "dynamic_tree_num_draft_tokens": 40, "num_speculative_tokens": 8}
TREES = [
    *((method, {"speculative_token_tree": TREE}) for method in ("draft_model", "eagle", "eagle3", "medusa", "ngram")),
    ("mlp_speculator", {"speculative_token_tree": "[(0,), (1,), (0, 0), (0, 1), (0, 0, 0)]"}),
    ("eagle3", DYNAMIC),
    ("eagle", {"dynamic_tree_topk": 3, "dynamic_tree_num_draft_tokens": 64, "num_speculative_tokens": 5}),
    ("eagle", {"dynamic_tree_topk": 4, "dynamic_tree_num_draft_tokens": 2, "num_speculative_tokens": 4}),
]
ON_THE_DEVICE = ("draft_model", "eagle", "eagle3", "medusa", "mlp_speculator", "mtp")


@pytest.fixture(scope="module")
def pair():
    """Captured and eager, for up to five requests at a time."""
    return load(5, enforce_eager=False), load(5, enforce_eager=True)


@pytest.fixture(scope="module")
def alone():
    """The same for one at a time."""
    return load(1, enforce_eager=False), load(1, enforce_eager=True)


@pytest.fixture(params=["alone", "pair"])
def engines(request):
    return request.getfixturevalue(request.param)


def settings_for(method, **more):
    return with_draft(settings_of(ROOT / "conf" / "method" / f"{method}.yaml")) | more


def check(engines, settings, params):
    captured, eager = (run(engine, settings, params) for engine in engines)
    assert captured == eager
    return captured


@pytest.mark.parametrize("path", METHODS, ids=lambda path: path.stem)
@pytest.mark.filterwarnings("ignore:.*has one MTP module")
def test_every_method_emits_the_same_tokens(engines, path):
    _, drafted, accepted = check(engines, with_draft(settings_of(path)), wishes())
    assert path.stem == "none" or 0 < accepted < drafted


@pytest.mark.parametrize(("method", "shape"), TREES, ids=lambda value: value if isinstance(value, str) else "")
def test_trees_emit_the_same_tokens(pair, method, shape):
    settings = settings_for(method, **({"num_speculative_tokens": 3} | shape))
    _, drafted, accepted = check(pair, settings, wishes())
    assert 0 < accepted < drafted


@pytest.mark.parametrize("method", ["eagle3", "draft_model", "medusa"])
@pytest.mark.parametrize("sample", ["probabilistic", "coupled"])
@pytest.mark.parametrize("tree", [None, TREE], ids=["chain", "tree"])
def test_sampled_drafts_are_the_same(pair, method, sample, tree):
    """Drawn with the same noise, and verified by the same coins."""
    settings = settings_for(method, draft_sample_method=sample, num_speculative_tokens=3, speculative_token_tree=tree)
    _, drafted, accepted = check(pair, settings, wishes())
    assert 0 < accepted < drafted


@pytest.mark.parametrize("rule", ["block", "typical", "synthetic"])
def test_other_rules_of_verification(pair, rule):
    more = {
        "block": {"draft_sample_method": "probabilistic"},
        "synthetic": {"synthetic_acceptance_rates": [0.8, 0.5, 0.2]},
        "typical": {},
    }[rule]
    check(pair, settings_for("eagle3", num_speculative_tokens=3, rejection_sample_method=rule, **more), wishes())


@pytest.mark.parametrize("tree", [TREE, None], ids=["tree", "chain"])
def test_synthetic_acceptance_of_trees_and_of_drafts_from_the_host(pair, tree):
    more = {"rejection_sample_method": "synthetic", "synthetic_acceptance_length": 2.0, "num_speculative_tokens": 3}
    for method in ("medusa", "ngram"):
        _, drafted, accepted = check(pair, settings_for(method, speculative_token_tree=tree, **more), wishes())
        assert 0 < accepted < drafted


@pytest.mark.parametrize("method", ["eagle3", "ngram"])
def test_requests_that_ask_for_more_than_graphs_do(pair, method):
    """Penalties, bias and log-probabilities: the host verifies what the device computed."""
    asks = {"repetition_penalty": 1.2}, {"logit_bias": {5: -3.0}}, {"logprobs": 2}, {"min_tokens": 4}
    for more in asks:
        check(pair, settings_for(method), wishes(**more))


FILTERS = [{"top_k": 5}, {"top_p": 0.7}, {"min_p": 0.2}, {}, {"top_k": 9, "top_p": 0.9, "min_p": 0.01}, {"top_p": 0.4}]


@pytest.mark.parametrize("sample", ["greedy", "coupled", "probabilistic"])
@pytest.mark.parametrize("method", ["eagle3", "medusa"])
@pytest.mark.parametrize("tree", [None, TREE], ids=["chain", "tree"])
def test_filters_are_the_device_s(pair, monkeypatch, method, sample, tree):
    """All of them in one batch, of the target's choice and of the draft's."""
    params = [SamplingParams(max_tokens=10, temperature=1.3, seed=i, **each) for i, each in enumerate(FILTERS)]
    more = {"draft_sample_method": sample, "num_speculative_tokens": 3, "speculative_token_tree": tree}
    hosts = []
    choose = sampler.choose
    monkeypatch.setattr(sampler, "choose", lambda *given: hosts.append(1) or choose(*given))
    eager = run(pair[1], settings_for(method, **more), params)
    per_step = len(hosts)
    hosts.clear()
    assert run(pair[0], settings_for(method, **more), params) == eager
    assert len(hosts) < per_step  # only beside prompts


def test_drafts_shortened_by_the_end_of_the_positions():
    both = [load(2, enforce_eager=eager, max_model_len=40) for eager in (False, True)]
    prompts = [tokens[-30:] for tokens in prompts_for(both[0])]
    for method in ("eagle3", "draft_model", "medusa"):
        trees = [{"speculative_token_tree": TREE, "num_speculative_tokens": 3}]
        for more in ({}, *trees, *([DYNAMIC] if method == "eagle3" else [])):
            params = [SamplingParams(max_tokens=10, temperature=0.0, ignore_eos=True)] * 6
            found = [run(engine, settings_for(method) | more, params, prompts) for engine in both]
            assert found[0] == found[1]


def test_chunks_of_prompts_have_shapes_too(monkeypatch):
    """Long ones beside short ones; beyond the longest shape, and with logprobs, they go as they come."""
    monkeypatch.setattr(prompt_step, "LONGEST", 40)
    both = [load(3, enforce_eager=eager, max_num_batched_tokens=50) for eager in (False, True)]
    ragged, run_ragged = [], both[0]._ragged.run
    monkeypatch.setattr(both[0]._ragged, "run", lambda *given: ragged.append(1) or run_ragged(*given))
    prompts = [tokens[:length] for tokens, length in zip(prompts_for(both[0]), (3, 17, 9, 30, 25, 40), strict=False)]
    for method in ("eagle3", "draft_model", "none"):
        check(both, settings_for(method) if method != "none" else None, wishes(ignore_eos=True))
        found = [run(engine, settings_for("medusa"), wishes(), prompts) for engine in both]
        assert found[0] == found[1]
    assert both[0].captured_stats.num_prompt_shapes > 2
    before = len(ragged)
    run(both[0], None, wishes(), prompts)
    assert len(ragged) == before
    run(both[0], None, wishes(logprobs=1), prompts)
    assert len(ragged) > before


def test_drafts_are_cut_by_batch_size_and_by_a_schedule(pair):
    for more in ({"disable_by_batch_size": 2}, {"num_speculative_tokens_per_batch_size": [[1, 2, 4], [3, 8, 1]]}):
        check(pair, settings_for("eagle3", **more), wishes())


def test_a_preempted_request_goes_on():
    both = [load(3, enforce_eager=eager, kv_cache_tokens=160) for eager in (False, True)]
    found = [run(engine, settings_for("eagle"), wishes()) for engine in both]
    assert found[0] == found[1]


def test_the_environment_says_what_was_captured(pair):
    captured, eager = pair
    check(pair, None, wishes())
    assert captured.environment()["steps"] == "fixed shapes, without graphs"
    assert eager.environment()["steps"] == "eager"
    assert captured.captured_stats.num_steps > captured.captured_stats.num_shapes > 0
    assert eager.captured_stats is None


def test_a_draft_that_is_to_be_eager_is_drafted_for_by_the_host(pair):
    """Its rows are counted one by one then; in fixed shapes every sequence goes as deep as the deepest."""
    rows = []
    for wish in (None, True):
        pair[0].configure_speculation(settings_for("eagle3", enforce_eager=wish))
        pair[0].generate(prompts_for(pair[0]), wishes())
        rows.append(pair[0].num_draft_rows)
    assert rows[0] > rows[1] > 0


@pytest.fixture
def recorded(monkeypatch):
    """An engine whose steps are recorded and repeated, as CUDA graphs are."""
    for module in (target_step, draft_graphs, prompt_step):
        monkeypatch.setattr(module, "Captured", RecordedGraph)
    monkeypatch.setattr(RecordedGraph, "waits", [])
    return load(5, enforce_eager=False)


RECORDED = [
    ("none", {}),
    ("ngram", {}),
    *((method, {"draft_sample_method": "probabilistic"}) for method in ON_THE_DEVICE),
    *((method, {"speculative_token_tree": TREE, "num_speculative_tokens": 3}) for method in ON_THE_DEVICE[:4]),
    ("eagle3", {"rejection_sample_method": "synthetic", "synthetic_acceptance_length": 2.0}),
    ("eagle3", DYNAMIC),
    ("medusa", {"draft_sample_method": "probabilistic", "speculative_token_tree": TREE, "num_speculative_tokens": 3}),
]


@pytest.mark.parametrize(("method", "more"), RECORDED, ids=lambda value: value if isinstance(value, str) else "")
@pytest.mark.filterwarnings("ignore:.*has one MTP module")
def test_steps_can_be_recorded_and_repeated(pair, recorded, method, more):
    """Nothing that a graph would freeze differs from step to step, and nothing in it waits for the device."""
    settings = settings_for(method, **more)
    assert run(recorded, settings, wishes()) == run(pair[1], settings, wishes())
    assert not RecordedGraph.waits
    pair[1].configure_speculation(None)


def test_what_a_graph_cannot_hold_is_noticed():
    """A number that is read stays what it was."""
    given, seen = torch.ones(1), torch.zeros(1)
    graph = RecordedGraph(lambda: seen.copy_(given * given.item()), None)
    given.fill_(3.0)
    graph.run()
    assert seen.item() == 3.0
    assert len(RecordedGraph.waits) == 1
    RecordedGraph.waits.clear()


def test_what_cannot_be_captured_is_refused():
    with pytest.raises(ConfigError, match="enforce_eager=False needs kernels=fused"):
        Engine.load(MODEL, kernels="torch", enforce_eager=False)
    with pytest.raises(ConfigError, match="enforce_eager='no' is not allowed: true, false, or null"):
        Engine.load(MODEL, enforce_eager="no")
    draft = settings_for("eagle3", enforce_eager=False)
    with pytest.raises(ConfigError, match="enforce_eager=False of a draft is not allowed where the engine is eager"):
        Engine.load(MODEL, draft)


def test_shapes_come_in_buckets():
    assert batch_buckets(1) == [1]
    assert batch_buckets(5) == [1, 2, 4, 5]
    assert batch_buckets(40) == [1, 2, 4, 8, 16, 24, 32, 40]
    assert [bucket(n, batch_buckets(40)) for n in (1, 3, 8, 9, 33)] == [1, 4, 8, 16, 40]
    assert [node_bucket(n) for n in (0, 5, 16, 17, 30)] == [0, 5, 16, 24, 32]
    assert prompt_buckets(12) == [16]
    assert prompt_buckets(130) == [16, 32, 64, 128, 192]
    assert prompt_buckets(8192)[-1] == 2048


@pytest.mark.parametrize(
    ("method", "more", "shapes"),
    [
        ("eagle3", {"num_speculative_tokens": 2}, 3),
        ("eagle3", {"num_speculative_tokens": 3, "speculative_token_tree": TREE}, 2),
        ("eagle3", DYNAMIC, 2),
        ("ngram", {"num_speculative_tokens": 4}, 5),
        ("ngram", {"num_speculative_tokens": 3, "speculative_token_tree": TREE}, 2),
        ("suffix", {"num_speculative_tokens": 20}, 18),  # 0 to 16, and 20
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_warm_up_makes_every_shape_that_drafting_asks_for(method, more, shapes):
    engine = load(2, enforce_eager=False)
    engine.configure_speculation(settings_for(method, **more))
    engine.warm_up()
    made = engine.captured_stats.num_shapes
    logits = {step.logits.untyped_storage().data_ptr() for step in engine._captured._steps.values()}
    assert len(logits) == 1  # all in the memory of the largest
    assert made == 2 * shapes  # for one sequence and for two
    engine.generate(prompts_for(engine)[:4], wishes()[:4])
    assert engine.captured_stats.num_shapes == made


@pytest.mark.parametrize("method", ["draft_model", "eagle3", "medusa", "mlp_speculator", "mtp"])
@pytest.mark.filterwarnings("ignore:.*has one MTP module")
def test_quantized_drafts_are_the_same_each_with_graphs_of_its_own(engines, method):
    """As they are, in 4 bits, and as they are again: what was laid out for one must not draft for the other."""
    plain = check(engines, settings_for(method), wishes())
    rounded = check(engines, settings_for(method, quantization="int4"), wishes())
    assert plain[0] == rounded[0]
    assert plain[1:] != rounded[1:]
    assert check(engines, settings_for(method), wishes()) == plain
