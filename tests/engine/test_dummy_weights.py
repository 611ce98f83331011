"""load_format "dummy": the shape of a config.json with random weights, for target and drafts."""

import json
from pathlib import Path

import pytest
import torch

from engine import Engine, SamplingParams
from engine.errors import ConfigError
from engine.models.dummy import DummyWeights

ROOT = Path(__file__).resolve().parents[2]
SHAPES = ROOT / "models" / "shapes"
SMALL = {
    "hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16,
    "num_hidden_layers": 8, "vocab_size": 300, "max_position_embeddings": 256,
}  # fmt: skip
GREEDY = SamplingParams(max_tokens=20, temperature=0.0)


def shrunk(name: str, folder: Path, **changes) -> Path:
    """A shipped shape, made small."""
    raw = json.loads((SHAPES / name / "config.json").read_text()) | SMALL | changes
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(raw))
    return folder


@pytest.fixture
def target(tmp_path):
    return shrunk("qwen3-0.6b", tmp_path / "target")


def test_no_weights_are_needed_and_the_same_come_every_time(target):
    outputs = [Engine.load(target, load_format="dummy").generate([[1, 2, 3]], GREEDY)[0] for _ in range(2)]
    assert len(outputs[0].token_ids) == 20
    assert outputs[0].token_ids == outputs[1].token_ids


def test_the_environment_says_so(target):
    assert Engine.load(target, load_format="dummy").environment()["weights"] == "random"
    assert Engine.load(ROOT / "models/tiny").environment()["weights"] == "checkpoint"


def test_without_it_missing_weights_are_refused(target):
    with pytest.raises(ConfigError, match="holds no weights"):
        Engine.load(target)


def test_another_load_format_is_refused(target):
    with pytest.raises(ConfigError, match="load_format='random' is not allowed: auto, dummy"):
        Engine.load(target, load_format="random")


@pytest.mark.parametrize(
    ("method", "shape", "changes"),
    [
        ("eagle3", "qwen3-0.6b-eagle3", {"draft_vocab_size": 100, "num_hidden_layers": 1}),
        ("draft_model", "qwen3-0.6b", {"num_hidden_layers": 1}),
        ("medusa", "qwen3-0.6b", {"medusa_num_heads": 3, "medusa_num_layers": 1, "model_type": "medusa"}),
    ],
)
def test_a_draft_s_weights_are_random_too_and_the_output_is_the_target_s(target, tmp_path, method, shape, changes):
    draft = shrunk(shape, tmp_path / "draft", **changes)
    engine = Engine.load(target, load_format="dummy")
    plain = engine.generate([[1, 2, 3]], GREEDY)[0].token_ids
    engine.configure_speculation({"method": method, "model": str(draft), "num_speculative_tokens": 3})
    assert engine.generate([[1, 2, 3]], GREEDY)[0].token_ids == plain
    assert engine.stats.num_drafts > 0


def test_synthetic_acceptance_sets_what_passes(target, tmp_path):
    draft = shrunk("qwen3-0.6b-eagle3", tmp_path / "draft", draft_vocab_size=100, num_hidden_layers=1)
    synthetic = {"rejection_sample_method": "synthetic", "synthetic_acceptance_rates": [1.0, 1.0, 0.0]}
    engine = Engine.load(target, load_format="dummy")
    engine.configure_speculation({"method": "eagle3", "model": str(draft), "num_speculative_tokens": 3, **synthetic})
    engine.generate([[1, 2, 3]] * 4, SamplingParams(max_tokens=31, temperature=0.0))
    assert engine.stats.num_accepted_tokens == pytest.approx(2 * engine.stats.num_drafts, abs=8)


def test_tensors_are_made_in_their_dtype_and_hold_what_fp16_holds():
    weights = DummyWeights(Path("nowhere"))
    matrix = weights.take("layers.0.q.weight", (40, 50), torch.float32, torch.device("cpu"))
    assert torch.equal(matrix, matrix.half().float())
    assert 0.015 < matrix.std() < 0.025
    assert weights.take("norm.weight", (5,), torch.bfloat16, torch.device("cpu")).tolist() == [1.0] * 5
    assert not weights.take("d2t", (5,), torch.int64, torch.device("cpu")).any()


@pytest.mark.parametrize("folder", sorted(SHAPES.iterdir()), ids=lambda folder: folder.name)
def test_every_shipped_shape_is_a_config(folder):
    raw = json.loads((folder / "config.json").read_text())
    assert raw["hidden_size"] % raw["num_attention_heads"] == 0
    assert raw["architectures"]
