"""MTP modules of every family against a slow reference that shares nothing with them."""

import pytest
import torch
from checkpoints import build

from engine import ConfigError, Engine
from engine.hub import load_transformers
from tests.engine.proposers.drafting import check, check_probs, drive, target_of
from tests.engine.proposers.mtp_reference import Module, draft_by
from tests.engine.proposers.slow_head import hidden_states

pytestmark = pytest.mark.filterwarnings("ignore:.*has one MTP module")
SIZES = {"hidden_size": 64, "vocab_size": 96}
DENSE = ("mtp_mimo", "mtp_ernie")
PUBLISHED = ("mtp_deepseek_v3", "mtp_glm4_moe", "mtp_qwen3_next", "mtp_longcat_flash")


def slow(checkpoint, model, count=1, tables=None):
    embeddings, head = tables or (model.model.embed_tokens.weight.detach(), model.lm_head.weight.detach())
    modules = [Module(checkpoint.config, checkpoint.tensors, k, embeddings, head) for k in range(count)]

    raw = checkpoint.config["architectures"] == ["MiMoForCausalLM"]

    def draft(tokens, limit, choose):
        streams, final = hidden_states(model, tokens[:-1])
        draft_by(modules, tokens, streams[-1] if raw else final, limit, choose)

    return draft


def settings_for(folder, k=3, cutoff=None):
    settings = {"method": "mtp", "model": str(folder), "num_speculative_tokens": k}
    return settings | ({"disable_by_batch_size": cutoff} if cutoff else {})


@pytest.mark.parametrize(("layout", "batch", "cutoff"), [
    *((layout, 1, None) for layout in DENSE),
    *((layout, 3, 2) for layout in DENSE + PUBLISHED),
])  # fmt: skip
def test_drafts_are_those_of_the_description(tmp_path, layout, batch, cutoff):
    model, checkpoint = target_of(tmp_path / "target"), build(layout, SIZES)
    settings = settings_for(checkpoint.save(tmp_path / "draft"), cutoff=cutoff)
    check(drive(tmp_path / "target", settings, batch), slow(checkpoint, model))


@pytest.mark.parametrize(("layout", "kind"), [("mtp_mimo", "Qwen2"), ("mtp_ernie", "Ernie4_5")])
def test_without_a_model_the_modules_are_those_of_the_target(tmp_path, layout, kind):
    checkpoint = build(layout, SIZES, seed=2)
    model = by_transformers(kind, checkpoint)
    settings = {"method": "mtp", "num_speculative_tokens": 2}
    check(drive(checkpoint.save(tmp_path), settings, batch=3), slow(checkpoint, model))


def by_transformers(kind, checkpoint):
    """The model in the checkpoint without its modules."""
    transformers = load_transformers()
    model = getattr(transformers, f"{kind}ForCausalLM")(getattr(transformers, f"{kind}Config")(**checkpoint.config))
    held = model.state_dict()
    model.load_state_dict({name: tensor for name, tensor in checkpoint.tensors.items() if name in held})
    return model.eval()


@pytest.mark.parametrize(("layout", "count", "k", "batch", "cutoff"), [
    ("mtp_mimo", 2, 2, 3, None),
    ("mtp_mimo", 3, 3, 3, 2),
    ("mtp_mimo", 3, 2, 1, None),
    ("mtp_mimo", 3, 6, 1, None),
    ("mtp_mimo", 2, 4, 3, 2),
    ("mtp_deepseek_v3", 2, 4, 3, None),
])  # fmt: skip
def test_several_modules_draft_in_turn(tmp_path, layout, count, k, batch, cutoff):
    model = target_of(tmp_path / "target")
    checkpoint = build(layout, SIZES, num_nextn_predict_layers=count)
    settings = settings_for(checkpoint.save(tmp_path / "draft"), k, cutoff)
    check(drive(tmp_path / "target", settings, batch), slow(checkpoint, model, count))


@pytest.mark.parametrize("length", [1, 2, 3])
def test_modules_wait_where_a_prompt_is_shorter_than_they_are_many(tmp_path, length):
    model = target_of(tmp_path / "target")
    checkpoint = build("mtp_mimo", SIZES, num_nextn_predict_layers=4)
    settings = settings_for(checkpoint.save(tmp_path / "draft"), 4)
    made = drive(tmp_path / "target", settings, batch=3, prompt_lengths=(length, 30, 1))
    check(made, slow(checkpoint, model, 4))


def test_glm_may_bring_tables_of_its_own(tmp_path):
    model, checkpoint = target_of(tmp_path / "target"), build("mtp_glm4_moe", SIZES)
    own = torch.randn(2, 96, 64, generator=torch.Generator().manual_seed(7))
    checkpoint.tensors["model.layers.6.embed_tokens.weight"] = own[0].clone()
    checkpoint.tensors["model.layers.6.shared_head.head.weight"] = own[1].clone()
    reference = slow(checkpoint, model, tables=(own[0], own[1]))
    settings = settings_for(checkpoint.save(tmp_path / "draft"))
    check(drive(tmp_path / "target", settings, batch=3), reference)


@pytest.mark.parametrize("count", [1, 2])
def test_q_is_the_softmax_after_the_tokens_drafted_before(tmp_path, count):
    model = target_of(tmp_path / "target")
    checkpoint = build("mtp_mimo", SIZES, num_nextn_predict_layers=count)
    settings = settings_for(checkpoint.save(tmp_path / "draft"), 4) | {"draft_sample_method": "probabilistic"}
    check_probs(drive(tmp_path / "target", settings, batch=3), slow(checkpoint, model, count))


def load(tmp_path, checkpoint, k=1):
    target_of(tmp_path / "target")
    return Engine.load(tmp_path / "target", settings_for(checkpoint.save(tmp_path / "draft"), k), num_threads=1)


def without(name):
    return lambda tensors: tensors.pop(name)


def renamed(name):
    return lambda tensors: tensors.update({name + "s": tensors.pop(name)})


def reshaped(name):
    return lambda tensors: tensors.update({name: torch.zeros(7, 5)})


BROKEN = [
    ("mtp_mimo", "model.mtp_layers.0.input_proj.weight"),
    ("mtp_mimo", "model.mtp_layers.0.self_attn.q_proj.bias"),
    ("mtp_mimo", "model.mtp_layers.0.mlp.down_proj.weight"),
    ("mtp_ernie", "model.mtp_linear_proj.0.weight"),
    ("mtp_ernie", "model.mtp_block.0.input_layernorm.weight"),
    ("mtp_deepseek_v3", "model.layers.6.embed_tokens.weight"),
    ("mtp_deepseek_v3", "model.layers.6.shared_head.norm.weight"),
    ("mtp_deepseek_v3", "model.layers.6.self_attn.kv_b_proj.weight"),
    ("mtp_deepseek_v3", "model.layers.6.mlp.experts.2.up_proj.weight"),
    ("mtp_deepseek_v3", "model.layers.6.mlp.gate.e_score_correction_bias"),
    ("mtp_glm4_moe", "model.layers.6.enorm.weight"),
    ("mtp_qwen3_next", "mtp.pre_fc_norm_hidden.weight"),
    ("mtp_qwen3_next", "mtp.layers.0.mlp.shared_expert_gate.weight"),
    ("mtp_longcat_flash", "model.mtp.norm.weight"),
    ("mtp_longcat_flash", "model.mtp.layers.0.transformer_layer.mlp.up_proj.weight"),
]


@pytest.mark.parametrize(("layout", "name"), BROKEN)
@pytest.mark.parametrize(("change", "what"), [(without, "missing"), (renamed, "missing"), (reshaped, "shape")])
def test_a_tensor_that_is_not_as_it_should_is_refused_by_name(tmp_path, layout, name, change, what):
    checkpoint = build(layout, SIZES)
    change(name)(checkpoint.tensors)
    with pytest.raises(ConfigError, match=f"tensor {name} .*{what}"):
        load(tmp_path, checkpoint)


@pytest.mark.parametrize(
    ("layout", "name"),
    [
        ("mtp_mimo", "model.mtp_layers.1.input_proj.weight"),
        ("mtp_deepseek_v3", "model.layers.7.enorm.weight"),
        ("mtp_deepseek_v3", "model.layers.6.mlp.experts.4.up_proj.weight"),
        ("mtp_qwen3_next", "mtp.fc.bias"),
    ],
)
def test_a_tensor_of_the_modules_that_nothing_reads_is_refused(tmp_path, layout, name):
    checkpoint = build(layout, SIZES)
    checkpoint.tensors[name] = torch.zeros(3)
    with pytest.raises(ConfigError, match=f"no place for: {name}"):
        load(tmp_path, checkpoint)


def test_a_family_that_transformers_cannot_compute_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="transformers has no PanguUltraMoE"):
        load(tmp_path, build("mtp_pangu_ultra_moe", SIZES))


def test_a_model_without_modules_is_refused(tmp_path):
    target_of(tmp_path)
    with pytest.raises(ConfigError, match="carries no MTP modules"):
        Engine.load(tmp_path, {"method": "mtp", "num_speculative_tokens": 1}, num_threads=1)
