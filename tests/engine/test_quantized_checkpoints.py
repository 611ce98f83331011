"""Checkpoints of AWQ, GPTQ and fp8 in blocks: what is read is the model of their dequantized weights."""

import json

import pytest
import torch

from engine import Engine, SamplingParams
from engine.errors import ConfigError
from engine.models.config import read_config
from engine.models.decoder import load_weights
from engine.models.quantized import keeping
from engine.models.quantized.formats import FourBits
from tests.engine.conftest import save_model
from tests.engine.parallel.test_split_layers import in_parts, logits
from tests.engine.quantized_checkpoints import AWQ, GPTQ, KINDS, save_quantized

WISH = SamplingParams(max_tokens=20, temperature=0.0, ignore_eos=True)
NAMES = dict.fromkeys(KINDS, "gptq, 4 bits, groups of 32") | {
    "awq": "awq, 4 bits, groups of 32",
    "gptq in 8 bits, one group": "gptq, 8 bits, a scale an output",
    "fp8 in blocks": "fp8 in blocks of 48 x 32",
}
PROMPT = [1, *range(20, 34)]


def scores(folder, dtype="float32"):
    engine = Engine.load(folder, dtype=dtype, num_threads=1)
    return engine, engine.next_token_scores(PROMPT, WISH, len(PROMPT))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_target_is_that_of_its_dequantized_weights(tmp_path, kind, dtype):
    folder = save_quantized(tmp_path, *KINDS[kind])
    (engine, ours), (_, exact) = scores(folder, dtype), scores(tmp_path / "plain", dtype)
    torch.testing.assert_close(ours, exact, rtol=1e-5, atol=1e-5)
    assert engine.environment()["quantization"] == f"{NAMES[kind]} (expanded at load)"


@pytest.mark.parametrize(("kind", "how"), [("awq", "kept in 4 bits"), ("gptq by activation order", "expanded at load")])
@pytest.mark.parametrize("kernels", ["torch", "fused"])
def test_codes_are_kept_where_they_can_be_multiplied(tmp_path, monkeypatch, kind, how, kernels):
    """As on a GPU, with the reference of the product."""
    monkeypatch.setattr(keeping, "can_multiply_codes", lambda device: True)
    folder = save_quantized(tmp_path, *KINDS[kind])
    ours, exact = (
        Engine.load(f, dtype="float32", num_threads=1, kernels=kernels) for f in (folder, tmp_path / "plain")
    )
    pair = [engine.next_token_scores(PROMPT, WISH, len(PROMPT)) for engine in (ours, exact)]
    torch.testing.assert_close(*pair, rtol=1e-4, atol=1e-4)
    assert ours.environment()["quantization"].endswith(f"({how})")
    ours.configure_speculation({"method": "draft_model", "model": str(folder), "num_speculative_tokens": 2})
    ours.generate([PROMPT], WISH)
    assert ours.stats.acceptance_rate > 0.9  # it drafts for itself
    assert ours.environment()["draft_linear"].startswith("int4 (as stored) and " if kind == "awq" else "torch")
    weights = load_weights(folder, read_config(folder), torch.bfloat16, torch.device("cpu"))
    matrices = weights.layers[0].matrices
    assert all(isinstance(matrix, FourBits) == (kind == "awq") for matrix in matrices)
    if kind == "awq":
        stored = sum(t.nbytes for m in matrices for t in (m.packed, m.scales, m.zeros))
        assert stored < 0.31 * sum(m.expanded(torch.bfloat16).nbytes for m in matrices)  # 4.75 bits of 16


@pytest.mark.parametrize(("inner", "how"), [(128, "kept in 4 bits"), (96, "expanded at load")])
def test_parts_of_kept_codes_make_the_whole(tmp_path, monkeypatch, inner, how):
    """Half of 96 columns is no whole number of groups."""
    monkeypatch.setattr(keeping, "can_multiply_codes", lambda device: True)
    folder = save_quantized(tmp_path, *KINDS["awq"], intermediate_size=inner)
    exact, config = logits(tmp_path / "plain"), read_config(folder)
    cpu = torch.device("cpu")
    stored = in_parts(2, lambda part: load_weights(folder, config, torch.float32, cpu, shard=part).stored)
    assert {line.partition(" (")[2] for line in stored} == {how + ")"}
    for found in in_parts(2, lambda part: logits(folder, part)):
        for ours, theirs in zip(found, exact, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["awq", "gptq"])
def test_a_draft_may_be_quantized(tmp_path, kind):
    folder = save_quantized(tmp_path, *KINDS[kind])
    save_model(tmp_path / "target", seed=3)
    settings = {"method": "draft_model", "model": str(folder), "num_speculative_tokens": 3}
    engine = Engine.load(tmp_path / "target", settings, dtype="float32", num_threads=1)
    tokens = engine.generate([PROMPT], WISH)[0].token_ids
    assert engine.environment()["draft_quantization"].startswith(kind)
    counts = engine.stats.num_accepted_tokens, engine.stats.num_draft_tokens
    engine.configure_speculation(settings | {"model": str(tmp_path / "plain")})
    assert engine.generate([PROMPT], WISH)[0].token_ids == tokens
    assert (engine.stats.num_accepted_tokens, engine.stats.num_draft_tokens) == counts
    with pytest.raises(ConfigError, match=rf"='int8' does not fit: .* is quantized already \({kind}, 4 bits"):
        engine.configure_speculation(settings | {"quantization": "int8"})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"quant_method": "bitsandbytes"}, r"is quantized \(bitsandbytes\), which cannot be read here: awq, gptq, fp8"),
        (GPTQ | {"bits": 3}, r"\(gptq\) with bits=3, which cannot be read here: 2, 4, 8"),
        (GPTQ | {"checkpoint_format": "marlin"}, "format='marlin', which cannot be read here: gptq, gptq_v2"),
        (AWQ | {"version": "gemv"}, "format='gemv', which cannot be read here: gemm"),
        (AWQ | {"zero_point": False}, "zero_point=False"),
        (GPTQ | {"group_size": 0}, "group_size=0: -1 or a count"),
        ({"quant_method": "fp8"}, "weight_block_size=None: two counts"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, given, message):
    save_model(tmp_path / "plain", seed=5)
    raw = json.loads((tmp_path / "plain/config.json").read_text())
    (tmp_path / "plain/config.json").write_text(json.dumps(raw | {"quantization_config": given}))
    with pytest.raises(ConfigError, match=message):
        Engine.load(tmp_path / "plain")


def test_random_weights_are_not_quantized(tmp_path):
    folder = save_quantized(tmp_path, *KINDS["awq"])
    with pytest.raises(ConfigError, match="which random weights are not"):
        Engine.load(folder, load_format="dummy")


def test_a_bias_that_says_something_is_not_dropped(tmp_path):
    config, quantize = KINDS["gptq"]

    def with_bias(weight):
        parts, plain = quantize(weight)
        return parts | {"bias": torch.ones(weight.shape[0])}, plain

    folder = save_quantized(tmp_path, config, with_bias)
    with pytest.raises(ConfigError, match=r"no place for: .*bias"):
        Engine.load(folder, dtype="float32")
