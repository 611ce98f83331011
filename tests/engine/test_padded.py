"""disable_padded_drafter_batch: padded and ragged drafting give the same drafts, and padding computes more rows."""

import pytest
from checkpoints import build

from engine import Engine, SamplingParams
from engine.errors import ConfigError
from tests.engine.conftest import save_model
from tests.engine.drafts import settings_for
from tests.engine.proposers.growing import grow

pytestmark = pytest.mark.filterwarnings("ignore:.*has one MTP module")
METHODS = ["eagle", "eagle3", "mtp"]
SHAPES = {
    "chain": {"num_speculative_tokens": 3},
    "tree": {"num_speculative_tokens": 3, "speculative_token_tree": "[(0,), (1,), (0, 0), (1, 0), (1, 0, 0)]"},
    "dynamic": {"num_speculative_tokens": 3, "dynamic_tree_topk": 3, "dynamic_tree_num_draft_tokens": 7},
}


@pytest.fixture
def target(tmp_path):
    save_model(tmp_path / "target", seed=3)
    return tmp_path / "target"


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("method", METHODS)
def test_both_ways_draft_the_same(target, tmp_path, method, shape):
    """Three requests of different lengths, drafts accepted in part: every draft is the same, and every token."""
    if shape == "dynamic" and method == "mtp":
        pytest.skip("mtp grows no dynamic trees")
    settings = settings_for({"method": method, "model": None}, target, tmp_path) | SHAPES[shape]
    ragged = grow(target, settings | {"disable_padded_drafter_batch": True}, batch=3)
    assert grow(target, settings | {"disable_padded_drafter_batch": False}, batch=3) == ragged


@pytest.mark.parametrize("method", METHODS)
def test_padding_computes_every_row(target, tmp_path, method):
    """Drafts of K tokens: padded, a step takes in 1 + K rows a sequence; ragged, those that became final."""
    settings = settings_for({"method": method, "model": None}, target, tmp_path) | {"num_speculative_tokens": 4}
    params = SamplingParams(max_tokens=30, temperature=0.0, ignore_eos=True)
    rows, tokens = {}, {}
    for disabled in (True, False, None):
        engine = Engine.load(target, settings | {"disable_padded_drafter_batch": disabled}, num_threads=1)
        outputs = engine.generate([[1, 5, 6, 7], [1, 9, 8]], params)
        rows[disabled], tokens[disabled] = engine.num_draft_rows, [output.token_ids for output in outputs]
    assert tokens[True] == tokens[False] == tokens[None]
    assert rows[False] > 1.5 * rows[True]
    assert rows[None] == rows[True]


def test_requests_with_less_room_than_others_are_cut_not_run_past_their_end(target, tmp_path):
    settings = settings_for({"method": "eagle", "model": None}, target, tmp_path) | {"num_speculative_tokens": 6}
    prompts = [[1, *range(3, 30)], [1, 5], [1, 9, 8]]
    params = [
        SamplingParams(max_tokens=40, temperature=0.0, ignore_eos=True, num_speculative_tokens=k) for k in (6, 2, 0)
    ]
    engine = Engine.load(target, None, max_model_len=34, num_threads=1)
    plain = [output.token_ids for output in engine.generate(prompts, params)]
    engine.configure_speculation(settings | {"disable_padded_drafter_batch": False})
    outputs = engine.generate(prompts, params)
    assert [output.token_ids for output in outputs] == plain
    drafted = [output.metrics.num_draft_tokens / max(output.metrics.num_drafts, 1) for output in outputs]
    assert drafted[1] <= 2
    assert drafted[2] == 0


def test_several_modules_are_not_padded(target, tmp_path):
    draft = build("mtp_mimo", {"hidden_size": 64, "vocab_size": 96}, num_nextn_predict_layers=2).save(
        tmp_path / "draft"
    )
    settings = {
        "method": "mtp",
        "model": str(draft),
        "num_speculative_tokens": 2,
        "disable_padded_drafter_batch": False,
    }
    with pytest.raises(ConfigError, match="disable_padded_drafter_batch=False is not allowed with 2 MTP modules"):
        Engine.load(target, settings, num_threads=1)
