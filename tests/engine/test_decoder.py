"""The decoder against transformers on the same checkpoint, in the ways a step can be put together."""

import json

import pytest
import torch

from engine.errors import ConfigError
from engine.models.attention import Span
from engine.models.config import read_config
from engine.models.decoder import FINAL, Decoder, load_weights
from engine.models.kv_cache import KVCache
from tests.engine.conftest import save_model

CPU = torch.device("cpu")
LLAMA3_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 500000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
FAMILIES = [
    ("Llama", {"tie_word_embeddings": True}),
    ("Llama", {"attention_bias": True, "mlp_bias": True, "rope_parameters": LLAMA3_ROPE}),
    ("Mistral", {"sliding_window": 12, "head_dim": 24}),
    ("Qwen2", {}),
    ("Qwen2", {"use_sliding_window": True, "sliding_window": 9, "max_window_layers": 1}),
    ("Qwen3", {"head_dim": 32}),
    ("Ernie4_5", {"head_dim": 16}),
    ("Ernie4_5", {"head_dim": 32, "use_bias": True, "tie_word_embeddings": False}),
]


def build(folder, product="torch", dtype=torch.float32):
    config = read_config(folder)
    decoder = Decoder(config, load_weights(folder, config, dtype, CPU), 256, product)
    return decoder, KVCache(config, 4, 256, dtype, CPU)


def relative_error(ours, theirs):
    return ((ours - theirs).abs().max() / theirs.abs().max()).item()


@pytest.mark.parametrize(("kind", "overrides"), FAMILIES, ids=lambda value: value if isinstance(value, str) else "")
def test_logits_equal_those_of_transformers(tmp_path, kind, overrides):
    model = save_model(tmp_path, kind, **overrides)
    ids = torch.randint(0, 96, (60,)).tolist()
    with torch.inference_mode():
        expected = model(torch.tensor([ids])).logits[0]
        decoder, cache = build(tmp_path)
        prompt = decoder.forward(ids[:30], [], [Span(1, 0, 30)], cache).logits
        chain = decoder.forward(ids[30:35], [Span(1, 30, 5)], [], cache).logits
        decoder.forward(ids[:20], [], [Span(3, 0, 20)], cache)
        ragged = decoder.forward(ids[35:36] + ids[20:25], [Span(1, 35, 1), Span(3, 20, 5)], [], cache).logits
        mixed_ids = ids[36:37] + ids[25:26] + ids[:10]
        mixed = decoder.forward(mixed_ids, [Span(1, 36, 1), Span(3, 25, 1)], [Span(0, 0, 10)], cache).logits
    assert relative_error(prompt, expected[:30]) < 1e-4
    assert relative_error(chain, expected[30:35]) < 1e-4
    assert relative_error(ragged, torch.cat([expected[35:36], expected[20:25]])) < 1e-4
    assert relative_error(mixed, torch.cat([expected[36:37], expected[25:26], expected[:10]])) < 1e-4


def test_mimo_layout_is_qwen2_with_extra_blocks_left_alone(tmp_path):
    model = save_model(tmp_path, "Qwen2")
    config = json.loads((tmp_path / "config.json").read_text())
    config["architectures"] = ["MiMoForCausalLM"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    ids = list(range(20))
    with torch.inference_mode():
        decoder, cache = build(tmp_path)
        ours = decoder.forward(ids, [], [Span(0, 0, 20)], cache).logits
        assert relative_error(ours, model(torch.tensor([ids])).logits[0]) < 1e-4


def test_taps_are_the_hidden_states_at_layer_boundaries(tmp_path):
    model = save_model(tmp_path)
    ids = list(range(3, 23))
    with torch.inference_mode():
        decoder, cache = build(tmp_path)
        taps = decoder.forward(ids, [], [Span(0, 0, 20)], cache, taps=(0, 1, 2, 3, FINAL)).taps
        expected = model(torch.tensor([ids]), output_hidden_states=True).hidden_states
        assert relative_error(model.model.norm(taps[3]), expected[3][0]) < 1e-4
    assert taps.keys() == {0, 1, 2, 3, FINAL}
    for boundary in (0, 1, 2, FINAL):
        assert relative_error(taps[boundary], expected[boundary][0]) < 1e-4


def test_half_packed_product_is_the_fp32_product(tmp_path):
    from engine.models.linear import build_linear, can_pack_half

    weight = torch.randn(96, 64).to(torch.float16).float()
    if not can_pack_half([weight]):
        pytest.skip("this torch has no half-packed product")
    x = torch.randn(7, 64)
    packed, plain = build_linear(weight, None, "half_packed")(x), build_linear(weight, None, "torch")(x)
    assert relative_error(packed, plain) < 1e-6
    biased = build_linear(weight, torch.ones(96), "half_packed")(x)
    assert relative_error(biased, plain + 1) < 1e-6
    assert not can_pack_half([weight + 1e-5])  # would not survive fp16


def test_bf16_runs_and_stays_near_fp32(tmp_path):
    save_model(tmp_path)
    ids = list(range(20))
    with torch.inference_mode():
        exact, cache = build(tmp_path)
        half, half_cache = build(tmp_path, dtype=torch.bfloat16)
        a = exact.forward(ids, [], [Span(0, 0, 20)], cache).logits
        b = half.forward(ids, [], [Span(0, 0, 20)], half_cache).logits
    assert relative_error(b, a) < 0.1


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"architectures": ["GPT2LMHeadModel"]}, "GPT2LMHeadModel .* allowed are LlamaForCausalLM"),
        ({"hidden_act": "gelu"}, "hidden_act 'gelu'"),
        ({"hidden_size": None}, "lacks 'hidden_size'"),
        ({"rope_parameters": {"rope_type": "longrope"}}, "rope_type 'longrope' .* allowed are default"),
        ({"intermediate_size": 97}, "has shape .* config.json asks for"),
        ({"num_hidden_layers": 2}, "no place for: model.layers.2"),
        ({"num_hidden_layers": 4}, "tensor model.layers.3.* is missing"),
    ],
)
def test_a_model_that_does_not_fit_is_refused_by_name(tmp_path, change, expected):
    save_model(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text()) | change
    (tmp_path / "config.json").write_text(json.dumps({k: v for k, v in config.items() if v is not None}))
    with pytest.raises(ConfigError, match=expected):
        build(tmp_path)
