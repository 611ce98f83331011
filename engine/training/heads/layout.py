"""Names and configs of the published layouts that several heads share."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from engine.errors import ConfigError
from engine.models.config import DecoderConfig
from engine.models.loader import Weights


def layer_tensors(block: nn.Module, prefix: str) -> dict[str, Tensor]:
    """self_attn.*, mlp.* and post_attention_layernorm of a layer."""
    return {f"{prefix}{name}": part for name, part in block.named_parameters()}


def llama_like(config: DecoderConfig, architecture: str) -> dict[str, Any]:
    """A Llama config of one layer with the target's shapes and rotary embedding."""
    kept = ("rope_theta", "rope_scaling", "rope_parameters", "bos_token_id", "eos_token_id", "pad_token_id")
    return {
        "architectures": [architecture],
        "model_type": "llama",
        "dtype": "bfloat16",
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden_size,
        "num_hidden_layers": 1,
        "num_attention_heads": config.num_heads,
        "num_key_value_heads": config.num_kv_heads,
        "head_dim": config.head_dim,
        "intermediate_size": config.intermediate_size,
        "max_position_embeddings": config.max_position_embeddings,
        "rms_norm_eps": config.rms_norm_eps,
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": config.tie_word_embeddings,
        **{key: config.raw[key] for key in kept if config.raw.get(key) is not None},
    }


def mimo_config(config: DecoderConfig) -> dict[str, Any]:
    """The target in the MiMo architecture (Qwen2 with modules for further tokens)."""
    made = llama_like(config, "MiMoForCausalLM")
    del made["attention_bias"], made["mlp_bias"]
    return made | {
        "model_type": "qwen2",
        "num_hidden_layers": config.num_layers,
        "num_nextn_predict_layers": 1,
        "use_sliding_window": False,
    }


def check_mimo(config: DecoderConfig) -> None:
    """ConfigError for a target with parts that the layout has no place for."""
    if config.qk_norm or config.o_bias or config.mlp_bias or any(config.windows):
        raise ConfigError(
            f"method=mtp writes the MiMo layout, which has no place for what {config.architecture} has here "
            "(head norms, output biases or sliding windows): train eagle3 or eagle instead"
        )


def mimo_target(weights: Weights, config: DecoderConfig) -> dict[str, Tensor]:
    """The target's own tensors, with query, key and value biases of zero where it has none."""
    names = [name for name in weights.names() if not name.startswith("model.mtp_layers.")]
    device = torch.device("cpu")
    found = {name: weights.take(name, weights.shape(name), torch.bfloat16, device) for name in names}
    if config.qkv_bias:
        return found
    widths = {"q_proj": config.num_heads, "k_proj": config.num_kv_heads, "v_proj": config.num_kv_heads}
    for layer in range(config.num_layers):
        for name, heads in widths.items():
            zeros = torch.zeros(heads * config.head_dim, dtype=torch.bfloat16)
            found[f"model.layers.{layer}.self_attn.{name}.bias"] = zeros
    return found
