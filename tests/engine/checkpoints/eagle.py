"""Heads of EAGLE and EAGLE-3."""

from collections.abc import Mapping
from typing import Any

from checkpoints.pieces import Config, Shapes, attention, layer, mlp, prefixed

LLAMA_KEYS = (
    "hidden_size",
    "intermediate_size",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "vocab_size",
    "rms_norm_eps",
)


def one_layer(target: Mapping[str, Any], architecture: str, **more: Any) -> Config:
    """The config of a draft of one Llama layer with the target's sizes."""
    kept = {key: target[key] for key in LLAMA_KEYS}
    config = {"architectures": [architecture], "model_type": "llama", "num_hidden_layers": 1, "hidden_act": "silu"}
    return config | kept | {"max_position_embeddings": target["max_position_embeddings"]} | more


def _eagle(config: Config, embeddings: bool) -> Shapes:
    hidden = config["hidden_size"]
    feed_forward = mlp(hidden, config["intermediate_size"])
    shapes: Shapes = {"fc.weight": (hidden, 2 * hidden)}
    shapes |= {"fc.bias": (hidden,)} if config.get("bias", True) else {}
    shapes |= prefixed("layers.0.", layer(config, attention(config), feed_forward, input_norm=False))
    return shapes | ({"embed_tokens.weight": (config["vocab_size"], hidden)} if embeddings else {})


def eagle_llama2(target: Mapping[str, Any], wishes: Config) -> tuple[Config, Shapes]:
    """Vicuna and Llama 2: no `bias` in the config, which means that fc has one."""
    config = one_layer(target, "LlamaForCausalLM") | wishes
    return config, _eagle(config, embeddings=True)


def eagle_llama3(target: Mapping[str, Any], wishes: Config) -> tuple[Config, Shapes]:
    config = one_layer(target, "LlamaForCausalLM", bias=False, rope_theta=500000.0) | wishes
    return config, _eagle(config, embeddings=True)


def eagle_bare(target: Mapping[str, Any], wishes: Config) -> tuple[Config, Shapes]:
    """As this project's training writes it: no embeddings, RoPE of the target."""
    config = one_layer(target, "LlamaForCausalLM", bias=False, rope_theta=target["rope_theta"]) | wishes
    return config, _eagle(config, embeddings=False)


def _eagle3(config: Config, c: Mapping[str, Any], prefix: str, embeddings: bool) -> Shapes:
    hidden, drafted, vocabulary = c["hidden_size"], config["draft_vocab_size"], c["vocab_size"]
    target_hidden = config.get("target_hidden_size") or hidden
    feed_forward = mlp(hidden, c["intermediate_size"])
    shapes: Shapes = {"fc.weight": (hidden, 3 * target_hidden), "norm.weight": (hidden,)}
    shapes |= {"lm_head.weight": (drafted, hidden), prefix + "hidden_norm.weight": (hidden,)}
    shapes |= prefixed(prefix, layer(c, attention(c, width=2 * hidden), feed_forward))
    shapes |= {"d2t": (drafted,), "t2d": (vocabulary,)} if drafted != vocabulary else {}
    shapes |= {"input_norm.weight": (3 * target_hidden,)} if config.get("norm_before_fc") else {}
    shapes |= {f"fc_norm.{i}.weight": (target_hidden,) for i in range(3)} if config.get("fc_norm") else {}
    return shapes | ({"embed_tokens.weight": (vocabulary, hidden)} if embeddings else {})


def eagle3_reference(target: Mapping[str, Any], wishes: Config) -> tuple[Config, Shapes]:
    """The authors' own heads: no embeddings, no rope_theta, no layer ids."""
    config = one_layer(target, "LlamaForCausalLM", draft_vocab_size=target["vocab_size"] // 2) | wishes
    return config, _eagle3(config, config, "midlayer.", embeddings=False)


def eagle3_specforge(target: Mapping[str, Any], wishes: Config) -> tuple[Config, Shapes]:
    """SpecForge: layer ids name the layers whose outputs are taken, so (1, L/2 - 1, L - 4) are the usual three."""
    layers = target["num_hidden_layers"]
    ids = {"eagle_aux_hidden_state_layer_ids": [1, layers // 2 - 1, layers - 4], "use_aux_hidden_state": True}
    own: Config = {"draft_vocab_size": target["vocab_size"] // 2, "eagle_config": ids, "rope_theta": 10000.0}
    config = one_layer(target, "LlamaForCausalLMEagle3", **own) | wishes
    return config, _eagle3(config, config, "midlayer.", embeddings=False)


def eagle3_specforge_hf(target: Mapping[str, Any], wishes: Config) -> tuple[Config, Shapes]:
    """The same with embeddings of its own."""
    config, shapes = eagle3_specforge(target, wishes)
    return config, shapes | {"embed_tokens.weight": (config["vocab_size"], config["hidden_size"])}


def eagle3_speculators(target: Mapping[str, Any], wishes: Config) -> tuple[Config, Shapes]:
    """speculators: the layer's config is nested, its tensors are layers.0.*, layer ids are boundaries."""
    layers = target["num_hidden_layers"]
    inner = one_layer(target, "LlamaForCausalLM", rope_theta=target["rope_theta"])
    config: Config = {
        "architectures": ["Eagle3Speculator"],
        "speculators_model_type": "eagle3",
        "draft_vocab_size": target["vocab_size"] // 2,
        "norm_before_residual": True,
        "norm_before_fc": False,
        "eagle_aux_hidden_state_layer_ids": [2, layers // 2, layers - 3],
        "target_hidden_size": None,
        "embed_requires_grad": False,
        "transformer_layer_config": inner,
        "speculators_config": {
            "algorithm": "eagle3",
            "default_proposal_method": "greedy",
            "proposal_methods": [
                {
                    "proposal_type": "greedy",
                    "speculative_tokens": 3,
                    "verifier_accept_k": 1,
                    "accept_tolerance": 0.0,
                }
            ],
            "verifier": {"name_or_path": "org/target", "architectures": target["architectures"]},
        },
    } | wishes
    return config, _eagle3(config, config["transformer_layer_config"], "layers.0.", embeddings=True)
