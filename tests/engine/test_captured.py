"""Steps of fixed shape against steps as they come: the same tokens, of the same drafts, for every method."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from engine import Engine, SamplingParams
from engine.captured.graphs import Captured
from engine.captured.sizes import batch_buckets, bucket, node_bucket
from engine.errors import ConfigError
from tests.engine.captured_cases import MODEL, ROOT, TREE, load, prompts_for, run, wishes
from tests.engine.drafts import METHODS, settings_of
from tests.engine.test_fused_path import with_draft

TREES = [
    *((method, {"speculative_token_tree": TREE}) for method in ("draft_model", "eagle", "eagle3", "medusa", "ngram")),
    ("mlp_speculator", {"speculative_token_tree": "[(0,), (1,), (0, 0), (0, 1), (0, 0, 0)]"}),
    ("eagle3", {"dynamic_tree_topk": 10, "dynamic_tree_num_draft_tokens": 40, "num_speculative_tokens": 8}),
]
WAITING = ("_local_scalar_dense", "nonzero", "lift_fresh", "unique", "is_nonzero")
ON_THE_DEVICE = ("draft_model", "eagle", "eagle3", "medusa", "mlp_speculator", "mtp")


@pytest.fixture(scope="module", params=[1, 5], ids="batch{}".format)
def engines(request):
    return load(request.param, enforce_eager=False), load(request.param, enforce_eager=True)


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
def test_trees_emit_the_same_tokens(engines, method, shape):
    settings = settings_for(method, **({"num_speculative_tokens": 3} | shape))
    _, drafted, accepted = check(engines, settings, wishes())
    assert 0 < accepted < drafted


@pytest.mark.parametrize("method", ["eagle3", "draft_model", "medusa"])
@pytest.mark.parametrize("sample", ["probabilistic", "coupled"])
@pytest.mark.parametrize("tree", [None, TREE], ids=["chain", "tree"])
def test_sampled_drafts_are_the_same(engines, method, sample, tree):
    """Drawn with the same noise, and verified by the same coins."""
    settings = settings_for(method, draft_sample_method=sample, num_speculative_tokens=3, speculative_token_tree=tree)
    _, drafted, accepted = check(engines, settings, wishes())
    assert 0 < accepted < drafted


@pytest.mark.parametrize("rule", ["block", "typical", "synthetic"])
def test_other_rules_of_verification(engines, rule):
    more = {
        "block": {"draft_sample_method": "probabilistic"},
        "synthetic": {"synthetic_acceptance_rates": [0.8, 0.5, 0.2]},
        "typical": {},
    }[rule]
    check(engines, settings_for("eagle3", num_speculative_tokens=3, rejection_sample_method=rule, **more), wishes())


@pytest.mark.parametrize("tree", [TREE, None], ids=["tree", "chain"])
def test_synthetic_acceptance_of_trees_and_of_drafts_from_the_host(engines, tree):
    more = {"rejection_sample_method": "synthetic", "synthetic_acceptance_length": 2.0, "num_speculative_tokens": 3}
    for method in ("medusa", "ngram"):
        _, drafted, accepted = check(engines, settings_for(method, speculative_token_tree=tree, **more), wishes())
        assert 0 < accepted < drafted


@pytest.mark.parametrize("method", ["eagle3", "ngram"])
def test_requests_that_ask_for_more_than_graphs_do(engines, method):
    """Filters, penalties, bias and log-probabilities: the host verifies what the device computed."""
    asks = {"top_k": 5}, {"repetition_penalty": 1.2}, {"logit_bias": {5: -3.0}}, {"logprobs": 2}, {"min_tokens": 4}
    for more in asks:
        check(engines, settings_for(method), wishes(**more))


def test_drafts_shortened_by_the_end_of_the_positions():
    both = [load(2, enforce_eager=eager, max_model_len=40) for eager in (False, True)]
    prompts = [tokens[-30:] for tokens in prompts_for(both[0])]
    for method in ("eagle3", "draft_model", "medusa"):
        for more in ({}, {"speculative_token_tree": TREE, "num_speculative_tokens": 3}):
            params = [SamplingParams(max_tokens=10, temperature=0.0, ignore_eos=True)] * 6
            found = [run(engine, settings_for(method) | more, params, prompts) for engine in both]
            assert found[0] == found[1]


def test_drafts_are_cut_by_batch_size_and_by_a_schedule(engines):
    for more in ({"disable_by_batch_size": 2}, {"num_speculative_tokens_per_batch_size": [[1, 2, 4], [3, 8, 1]]}):
        check(engines, settings_for("eagle3", **more), wishes())


def test_a_preempted_request_goes_on():
    both = [load(3, enforce_eager=eager, kv_cache_tokens=160) for eager in (False, True)]
    found = [run(engine, settings_for("eagle"), wishes()) for engine in both]
    assert found[0] == found[1]


def test_the_environment_says_what_was_captured(engines):
    captured, eager = (engine.environment() for engine in engines)
    assert (captured["enforce_eager"], eager["enforce_eager"]) == (False, True)
    assert captured["captured_steps"] > 0 < captured["captured_shapes"]
    assert "captured_steps" not in eager


def test_a_draft_that_is_to_be_eager_is_drafted_for_by_the_host(engines):
    """Its rows are counted one by one then; in fixed shapes every sequence goes as deep as the deepest."""
    rows = []
    for wish in (None, True):
        engines[0].configure_speculation(settings_for("eagle3", enforce_eager=wish))
        engines[0].generate(prompts_for(engines[0]), wishes())
        rows.append(engines[0].num_draft_rows)
    assert rows[0] > rows[1] > 0


class Watch(TorchDispatchMode):
    """Notes what reads a number from the device or brings one there, outside of our operators."""

    def __init__(self):
        super().__init__()
        self.found, self.inside = [], 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = str(func)
        if any(each in name for each in WAITING):
            self.found.append(name)
        self.inside += name.startswith("spectune")
        try:
            return func(*args, **(kwargs or {}))
        finally:
            self.inside -= name.startswith("spectune")


@pytest.mark.parametrize(
    ("method", "tree"),
    [("none", None), *((method, None) for method in ON_THE_DEVICE), *((m, TREE) for m in ON_THE_DEVICE[:4])],
    ids=lambda value: value if value != TREE else "tree",
)
@pytest.mark.filterwarnings("ignore:.*has one MTP module")
def test_nothing_that_graphs_hold_waits_for_the_device(engines, monkeypatch, method, tree):
    """Neither reads a number nor brings one along, with and without sampled drafts."""
    engine, run_plainly, watch = engines[0], Captured.run, Watch()
    read = torch.Tensor.tolist

    def tolist(tensor):
        watch.found += [] if watch.inside else ["tolist"]
        return read(tensor)

    def watched(captured):
        with watch, monkeypatch.context() as patch:
            patch.setattr(torch.Tensor, "tolist", tolist)
            run_plainly(captured)

    more = {"draft_sample_method": "probabilistic"} if method != "none" else {}
    shape = {"speculative_token_tree": tree, "num_speculative_tokens": 3} if tree else {}
    monkeypatch.setattr(Captured, "run", watched)
    run(engine, settings_for(method) | more | shape, wishes())
    assert not watch.found
    engine.configure_speculation(None)


def test_what_waits_is_noticed():
    watch = Watch()
    with watch:
        torch.tensor([1, 2]).sum().item()
    assert len(watch.found) == 2


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


def test_warm_up_makes_every_shape_that_drafting_asks_for():
    engine = load(5, enforce_eager=False)
    engine.configure_speculation(settings_for("eagle3", num_speculative_tokens=2))
    engine.warm_up(4)
    made = engine.environment()["captured_shapes"]
    assert made == 3 * 3  # batches of 1, 2, 4; drafts of 0, 1, 2
    engine.generate(prompts_for(engine)[:4], wishes()[:4])
    assert engine.environment()["captured_shapes"] == made
