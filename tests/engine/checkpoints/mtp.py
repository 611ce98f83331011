"""Whole models with MTP modules behind their last layer; of mixtures of experts only a trace of the target's layers."""

from collections.abc import Mapping
from typing import Any

from checkpoints.pieces import (
    Config,
    Shapes,
    attention,
    dense_layer,
    experts,
    latent_attention,
    layer,
    mlp,
    prefixed,
    top_level,
)

LATENT: Config = {
    "q_lora_rank": 24,
    "kv_lora_rank": 16,
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 16,
    "v_head_dim": 16,
}
ROUTED: Config = {
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 32,
    "n_shared_experts": 1,
    "n_group": 1,
    "topk_group": 1,
    "norm_topk_prob": True,
    "routed_scaling_factor": 1.5,
    "scoring_func": "sigmoid",
    "first_k_dense_replace": 1,
}


def whole_model(target: Mapping[str, Any], architecture: str, model_type: str, **more: Any) -> Config:
    return dict(target) | {"architectures": [architecture], "model_type": model_type, "hidden_act": "silu"} | more


def _deepseek_modules(c: Config, block: Shapes, copies: bool) -> Shapes:
    """Modules under model.layers.{num_hidden_layers + k}; `copies`: each with its own embeddings and head."""
    hidden, vocabulary = c["hidden_size"], (c["vocab_size"], c["hidden_size"])
    module: Shapes = {"enorm.weight": (hidden,), "hnorm.weight": (hidden,), "eh_proj.weight": (hidden, 2 * hidden)}
    module |= {"shared_head.norm.weight": (hidden,)} | block
    module |= {"embed_tokens.weight": vocabulary, "shared_head.head.weight": vocabulary} if copies else {}
    shapes = top_level(c) | {"model.layers.0.input_layernorm.weight": (hidden,)}
    for k in range(c["num_nextn_predict_layers"]):
        shapes |= prefixed(f"model.layers.{c['num_hidden_layers'] + k}.", module)
    return shapes


def deepseek_v3(target: Mapping[str, Any], wishes: Config) -> tuple[Config, Shapes]:
    own = {"num_nextn_predict_layers": 1, "num_key_value_heads": target["num_attention_heads"]}
    config = whole_model(target, "DeepseekV3ForCausalLM", "deepseek_v3", **LATENT, **ROUTED, **own) | wishes
    feed_forward = experts(config, config["n_routed_experts"], "shared_experts", correction=True)
    return config, _deepseek_modules(config, layer(config, latent_attention(config), feed_forward), copies=True)


def glm4_moe(target: Mapping[str, Any], wishes: Config) -> tuple[Config, Shapes]:
    own = {"num_nextn_predict_layers": 1, "attention_bias": True, "use_qk_norm": False, "partial_rotary_factor": 0.5}
    config = whole_model(target, "Glm4MoeForCausalLM", "glm4_moe", **ROUTED, **own) | wishes
    attends = attention(config, bias=config["attention_bias"], norms=config["use_qk_norm"])
    feed_forward = experts(config, config["n_routed_experts"], "shared_experts", correction=True)
    return config, _deepseek_modules(config, layer(config, attends, feed_forward), copies=False)


def pangu_ultra_moe(target: Mapping[str, Any], wishes: Config) -> tuple[Config, Shapes]:
    own = {
        "num_nextn_predict_layers": 1,
        "num_key_value_heads": target["num_attention_heads"],
        "sandwich_norm": True,
    }
    config = whole_model(target, "PanguUltraMoEForCausalLM", "pangu_ultra_moe", **LATENT, **ROUTED, **own) | wishes
    feed_forward = experts(config, config["n_routed_experts"], "shared_experts", correction=False)
    block = layer(config, latent_attention(config), feed_forward)
    if config["sandwich_norm"]:
        block |= {f"{place}_mlp_layernorm.weight": (config["hidden_size"],) for place in ("pre", "post")}
    return config, _deepseek_modules(config, block, copies=True)


def longcat_flash(target: Mapping[str, Any], wishes: Config) -> tuple[Config, Shapes]:
    own = {
        "num_layers": target["num_hidden_layers"],
        "num_key_value_heads": target["num_attention_heads"],
        "ffn_hidden_size": target["intermediate_size"],
        "expert_ffn_hidden_size": 32,
        "n_routed_experts": 4,
        "zero_expert_num": 2,
        "moe_topk": 2,
        "routed_scaling_factor": 6.0,
        "mla_scale_q_lora": True,
        "mla_scale_kv_lora": True,
    }
    config = whole_model(target, "LongcatFlashForCausalLM", "longcat_flash", **LATENT, **own) | wishes
    del config["num_hidden_layers"], config["intermediate_size"]
    hidden = config["hidden_size"]
    module: Shapes = {"enorm.m.weight": (hidden,), "hnorm.m.weight": (hidden,), "eh_proj.weight": (hidden, 2 * hidden)}
    module |= {"input_layernorm.weight": (hidden,), "post_attention_layernorm.weight": (hidden,)}
    module |= prefixed("self_attn.", latent_attention(config))
    module |= prefixed("transformer_layer.mlp.", mlp(hidden, config["ffn_hidden_size"]))
    shapes = top_level(config) | {"model.layers.0.input_layernorm.0.weight": (hidden,)}
    shapes |= {"model.mtp.norm.weight": (hidden,), "model.mtp.embed_tokens.weight": (config["vocab_size"], hidden)}
    return config, shapes | prefixed("model.mtp.layers.0.", module)


def qwen3_next(target: Mapping[str, Any], wishes: Config) -> tuple[Config, Shapes]:
    """q_proj has twice the rows: a gate beside every query. The norms of the file are scales minus one."""
    own = {
        "num_experts": 4,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 32,
        "shared_expert_intermediate_size": 32,
        "decoder_sparse_step": 1,
        "mlp_only_layers": [],
        "norm_topk_prob": True,
        "partial_rotary_factor": 0.25,
        "full_attention_interval": 4,
        "linear_conv_kernel_dim": 4,
        "linear_key_head_dim": 16,
        "linear_num_key_heads": 2,
        "linear_value_head_dim": 16,
        "linear_num_value_heads": 4,
    }
    config = whole_model(target, "Qwen3NextForCausalLM", "qwen3_next", **own) | wishes
    hidden = config["hidden_size"]
    attends = attention(config, norms=True)
    attends["q_proj.weight"] = (2 * attends["q_proj.weight"][0], hidden)
    feed_forward = experts(config, config["num_experts"], "shared_expert", correction=False)
    feed_forward["shared_expert_gate.weight"] = (1, hidden)
    shapes: Shapes = {"mtp.fc.weight": (hidden, 2 * hidden)}
    for norm in ("norm", "pre_fc_norm_embedding", "pre_fc_norm_hidden"):
        shapes[f"mtp.{norm}.weight"] = (hidden,)
    shapes |= prefixed("mtp.layers.0.", layer(config, attends, feed_forward))
    return config, top_level(config) | {"model.layers.0.input_layernorm.weight": (hidden,)} | shapes


def _dense_target(c: Config, **kind: Any) -> Shapes:
    """All of a dense target, so that it can serve as one."""
    shapes = top_level(c)
    for i in range(c["num_hidden_layers"]):
        shapes |= prefixed(f"model.layers.{i}.", dense_layer(c, **kind))
    return shapes


def mimo(target: Mapping[str, Any], wishes: Config) -> tuple[Config, Shapes]:
    config = whole_model(target, "MiMoForCausalLM", "mimo", num_nextn_predict_layers=1, attention_bias=True) | wishes
    hidden = config["hidden_size"]
    module: Shapes = {"input_proj.weight": (hidden, 2 * hidden)} | dense_layer(config, bias=True)
    for norm in ("hidden_layernorm", "token_layernorm", "final_layernorm"):
        module[f"{norm}.weight"] = (hidden,)
    shapes = _dense_target(config, bias=True)
    for k in range(config["num_nextn_predict_layers"]):
        shapes |= prefixed(f"model.mtp_layers.{k}.", module)
    return config, shapes


def ernie(target: Mapping[str, Any], wishes: Config) -> tuple[Config, Shapes]:
    """The dense ERNIE-4.5 with the module that its larger sisters have."""
    own = {"num_nextn_predict_layers": 1, "use_bias": False}
    config = whole_model(target, "Ernie4_5ForCausalLM", "ernie4_5", **own) | wishes
    hidden = config["hidden_size"]
    shapes = _dense_target(config)
    shapes |= {"model.mtp_emb_norm.0.weight": (hidden,), "model.mtp_hidden_norm.0.weight": (hidden,)}
    shapes["model.mtp_linear_proj.0.weight"] = (hidden, 2 * hidden)
    return config, shapes | prefixed("model.mtp_block.0.", dense_layer(config))
