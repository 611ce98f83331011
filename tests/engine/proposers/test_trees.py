"""Every trained method drafts the trees that its definition says, whatever paths were accepted before."""

import json

import pytest
import torch
from checkpoints import build
from test_draft_model import slow as slow_draft_model
from test_eagle import slow_eagle, slow_eagle3
from test_medusa import slow as slow_medusa
from test_mlp_speculator import slow as slow_mlp_speculator
from test_mtp import slow as slow_mtp

from engine import Engine
from engine.errors import ConfigError
from engine.tree.token_tree import TokenTree
from tests.engine.conftest import save_model
from tests.engine.proposers.drafting import target_of
from tests.engine.proposers.growing import Walk, check, grow

pytestmark = pytest.mark.filterwarnings("ignore:.*has one MTP module")
SIZES = {"hidden_size": 64, "vocab_size": 96}
RAGGED = "[(0,), (1,), (2,), (0, 0), (0, 1), (2, 0), (0, 1, 0), (0, 1, 1), (2, 0, 0)]"
HEADS = {
    "medusa": ("medusa_reference", slow_medusa, {}),
    "mlp_speculator": ("mlp_speculator", slow_mlp_speculator, {}),
    "mtp": ("mtp_mimo", slow_mtp, {}),
}


def settings(method, folder, **more):
    return {"method": method, "model": str(folder), "num_speculative_tokens": 3} | more


@pytest.mark.parametrize(("batch", "cutoff"), [(1, None), (3, 2)])
@pytest.mark.parametrize("method", HEADS)
def test_heads_over_pairs_and_states(tmp_path, method, batch, cutoff):
    layout, slow, wishes = HEADS[method]
    model, checkpoint = target_of(tmp_path / "target"), build(layout, SIZES, **wishes)
    given = settings(method, checkpoint.save(tmp_path / "draft"), speculative_token_tree=RAGGED)
    made = grow(tmp_path / "target", given | ({"disable_by_batch_size": cutoff} if cutoff else {}), batch)
    reference = slow(checkpoint, model)
    check(made, lambda walk: reference(walk.tokens, len(walk.drafted), walk.choose))


@pytest.mark.parametrize(("layout", "count", "k", "tree"), [
    ("mtp_mimo", 3, 3, RAGGED),
    ("mtp_mimo", 2, 4, "[(0,), (1,), (0, 0), (1, 0), (0, 0, 0), (1, 0, 0), (1, 0, 0, 0)]"),
    ("mtp_deepseek_v3", 1, 3, RAGGED),
])  # fmt: skip
def test_modules_in_turn_and_blocks_of_transformers(tmp_path, layout, count, k, tree):
    model = target_of(tmp_path / "target")
    checkpoint = build(layout, SIZES, num_nextn_predict_layers=count)
    given = settings("mtp", checkpoint.save(tmp_path / "draft"), speculative_token_tree=tree)
    made = grow(tmp_path / "target", given | {"num_speculative_tokens": k}, batch=3)
    reference = slow_mtp(checkpoint, model, count)
    check(made, lambda walk: reference(walk.tokens, len(walk.drafted), walk.choose), every=3)


@pytest.mark.parametrize("length", [1, 2])
def test_trees_change_no_token_where_a_prompt_is_shorter_than_the_modules_are_many(tmp_path, length):
    target_of(tmp_path / "target")
    checkpoint = build("mtp_mimo", SIZES, num_nextn_predict_layers=3)
    given = settings("mtp", checkpoint.save(tmp_path / "draft"), speculative_token_tree=RAGGED)
    grow(tmp_path / "target", given, batch=3, prompt_lengths=(length, 30, 1))


@pytest.fixture
def eagles(tmp_path):
    """A target, and for a method its head's folder and slow reference."""
    model = target_of(tmp_path / "target")
    config = json.loads((tmp_path / "target" / "config.json").read_text()) | {"rope_theta": 10000.0}

    def made(method):
        layout = {"eagle": "eagle_llama3", "eagle3": "eagle3_reference"}[method]
        head = build(layout, config)
        if method == "eagle":
            return head.save(tmp_path / "head"), lambda walk: slow_eagle(walk, head.tensors, head.config, model)
        ids = (2, 3, 3) if model.config.num_hidden_layers > 3 else _boundaries(tmp_path / "target", head, tmp_path)
        return head.save(tmp_path / "head"), lambda walk: slow_eagle3(walk, head.tensors, head.config, model, ids)

    return tmp_path / "target", made


def _boundaries(target, head, tmp_path):
    """The layers that the engine reads for this head; which they are is tested with the chains."""
    given = settings("eagle3", head.save(tmp_path / "again"))
    return Engine.load(target, given, num_threads=1)._proposer.taps


@pytest.mark.parametrize("method", ["eagle", "eagle3"])
@pytest.mark.parametrize("batch", [1, 3])
def test_eagle_heads(eagles, method, batch):
    target, made = eagles
    folder, slow = made(method)
    check(grow(target, settings(method, folder, speculative_token_tree=RAGGED), batch), slow)


def test_a_draft_model(tmp_path):
    target_of(tmp_path / "target")
    small = save_model(tmp_path / "small", seed=4, num_hidden_layers=1)
    given = settings("draft_model", tmp_path / "small", speculative_token_tree=RAGGED)
    check(grow(tmp_path / "target", given, batch=3), lambda walk: slow_draft_model(walk, small))


@pytest.mark.parametrize("method", ["eagle", "eagle3"])
def test_a_dynamic_tree_holds_the_likeliest_nodes_of_all_levels(eagles, method):
    target, made = eagles
    folder, slow = made(method)
    topk, most = 3, 8
    given = settings(method, folder, dynamic_tree_topk=topk, dynamic_tree_num_draft_tokens=most)
    grown = grow(target, given, batch=3)
    shapes = set()
    for one in grown[::2]:
        expected = slow_dynamic(slow, one.tokens, min(one.limit, 3), topk, most)
        assert sorted(one.path(node) for node in range(len(one.drafted))) == sorted(expected)
        shapes.add(tuple(one.parents))
    assert len(shapes) > 3


def slow_dynamic(slow, tokens, depth, topk, most):
    """EAGLE-2 in its own words: expand the best topk of a level, keep the best nodes of all."""
    scores, beam = {}, [((), 0.0)]
    for _ in range(depth):
        level = []
        for path, score in beam:
            walk = Walk(tokens, list(path))
            with torch.no_grad():
                slow(walk)
            best = walk.found.log_softmax(-1).topk(topk)
            pairs = zip(best.values.tolist(), best.indices.tolist(), strict=True)
            level += [((*path, token), score + chance) for chance, token in pairs]
        scores |= dict(level)
        beam = sorted(level, key=lambda pair: -pair[1])[:topk]
    return [list(path) for path in sorted(scores, key=lambda path: -scores[path])[:most]]


def test_a_dynamic_tree_that_would_feed_too_many_nodes_is_refused(eagles):
    target, made = eagles
    folder, _ = made("eagle")
    given = settings("eagle", folder, dynamic_tree_topk=20, dynamic_tree_num_draft_tokens=60, num_speculative_tokens=8)
    with pytest.raises(ConfigError, match=r"dynamic_tree_topk=20 is too many on 8 levels: .* may be 128 at most"):
        Engine.load(target, given, num_threads=1)


def test_a_tree_is_cut_where_the_request_or_the_position_table_ends(tmp_path):
    """Drafted to the last token that may be emitted, and to the last position there is."""
    target_of(tmp_path / "target")
    save_model(tmp_path / "small", seed=4, num_hidden_layers=1)
    deep = str(TokenTree.from_widths([2, 2, 1, 1]))
    given = settings("draft_model", tmp_path / "small", speculative_token_tree=deep, num_speculative_tokens=4)
    engine = Engine.load(tmp_path / "target", given, max_model_len=24, num_threads=1)
    from engine import SamplingParams

    output = engine.generate([[1, *range(3, 12)]], SamplingParams(max_tokens=50, temperature=0.0, ignore_eos=True))[0]
    assert len(output.token_ids) == 14
    assert engine.stats.num_draft_tokens_per_pos[0] > engine.stats.num_draft_tokens_per_pos[3] > 0
