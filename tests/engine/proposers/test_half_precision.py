"""Every published layout runs in bf16, with q of sampled drafts, and keeps its weights when only parameters change."""

import pytest
from checkpoints import LAYOUTS, build

from engine import Engine, SamplingParams
from tests.engine.proposers.drafting import target_of

PROMPT = [1, *range(20, 30)]
RUNNABLE = [layout for layout in LAYOUTS if layout != "mtp_pangu_ultra_moe"]


@pytest.mark.filterwarnings("ignore:.*has one MTP module")
@pytest.mark.parametrize("layout", RUNNABLE)
def test_a_layout_runs_in_bf16(tmp_path, layout):
    target_of(tmp_path / "target", num_hidden_layers=6)
    sizes = {"hidden_size": 64, "vocab_size": 96}
    method = next(name for name in ("eagle3", "eagle", "medusa", "mlp_speculator", "mtp") if layout.startswith(name))
    draft = {"method": method, "model": str(build(layout, sizes).save(tmp_path / "draft"))}
    settings = draft | {"draft_sample_method": "probabilistic", "num_speculative_tokens": 3}
    engine = Engine.load(tmp_path / "target", settings, max_num_seqs=2, dtype="bfloat16", num_threads=1)
    network = engine._proposer.network
    wishes = [SamplingParams(max_tokens=12, temperature=1.0, seed=seed, ignore_eos=True) for seed in range(3)]
    assert [len(output.token_ids) for output in engine.generate([PROMPT] * 3, wishes)] == [12] * 3
    assert engine.stats.num_draft_tokens > 12
    engine.configure_speculation(settings | {"num_speculative_tokens": 2})
    assert engine._proposer.network is network
