"""Write a trained network as an ordinary Hugging Face Llama folder in bfloat16."""

from __future__ import annotations

import json
import os
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from engine.training.network import Network, Shape

SMALLEST_NORMAL = 2.0**-14  # of float16; smaller bf16 numbers may have more digits than float16's subnormals hold


def exact_in_half(weight: Tensor) -> Tensor:
    """The nearest bfloat16 values that float16 represents exactly too, so that either dtype serves the same model."""
    rounded = weight.detach().cpu().to(torch.bfloat16)
    tiny = rounded.float().abs() < SMALLEST_NORMAL
    steps = (rounded.float() * 2.0**24).round() * 2.0**-24  # multiples of float16's smallest subnormal
    exact = torch.where(tiny, steps, rounded.float()).to(torch.bfloat16)
    if not torch.equal(exact.to(torch.float16).float(), exact.float()):
        raise ValueError(
            "a weight is outside the range of float16 (65504); lower the learning rate or raise weight decay"
        )
    return exact


def tensors(network: Network) -> dict[str, Tensor]:
    """The weights under Hugging Face's names; fused matrices taken apart."""
    shape = network.shape
    queries, keys = shape.num_heads * shape.head_dim, shape.num_kv_heads * shape.head_dim
    named = {"model.embed_tokens.weight": network.embedding, "model.norm.weight": network.norms[-1]}
    for layer in range(shape.num_layers):
        q, k, v = network.qkv[layer].split((queries, keys, keys))
        gate, up = network.gate_up[layer].chunk(2)
        parts = {
            "self_attn.q_proj": q,
            "self_attn.k_proj": k,
            "self_attn.v_proj": v,
            "self_attn.o_proj": network.out[layer],
            "mlp.gate_proj": gate,
            "mlp.up_proj": up,
            "mlp.down_proj": network.down[layer],
            "input_layernorm": network.norms[2 * layer],
            "post_attention_layernorm": network.norms[2 * layer + 1],
        }
        named |= {f"model.layers.{layer}.{name}.weight": part for name, part in parts.items()}
    return {name: exact_in_half(part).contiguous() for name, part in named.items()}


def llama_config(shape: Shape, bos: int, eos: int) -> dict:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "dtype": "bfloat16",
        "vocab_size": shape.vocab_size,
        "hidden_size": shape.hidden_size,
        "num_hidden_layers": shape.num_layers,
        "num_attention_heads": shape.num_heads,
        "num_key_value_heads": shape.num_kv_heads,
        "head_dim": shape.head_dim,
        "intermediate_size": shape.intermediate_size,
        "max_position_embeddings": shape.max_positions,
        "rope_theta": shape.rope_theta,
        "rms_norm_eps": shape.norm_eps,
        "rope_parameters": {"rope_type": "default", "rope_theta": shape.rope_theta},
        "hidden_act": "silu",
        "tie_word_embeddings": True,
        "attention_bias": False,
        "mlp_bias": False,
        "bos_token_id": bos,
        "eos_token_id": eos,
        "pad_token_id": eos,
        "initializer_range": 0.02,
        "use_cache": True,
    }


def export(network: Network, folder: Path, bos: int, eos: int) -> None:
    """Write config.json, generation_config.json and model.safetensors (replaced in one move)."""
    folder.mkdir(parents=True, exist_ok=True)
    config = llama_config(network.shape, bos, eos)
    generation = {"bos_token_id": bos, "eos_token_id": eos, "pad_token_id": eos, "do_sample": False}
    for name, content in (("config.json", config), ("generation_config.json", generation)):
        (folder / name).write_text(json.dumps(content, indent=2) + "\n")
    save_file(tensors(network), folder / "model.safetensors.new", metadata={"format": "pt"})
    os.replace(folder / "model.safetensors.new", folder / "model.safetensors")
