"""Rotary position embedding as one complex product.

Checkpoints pair dimension i with i + D/2 of a head. Permuting the rows of the query and key weights once so that the
pair lies side by side leaves every q.k unchanged and turns the rotation into one complex multiplication.
"""

from typing import Any

import torch
from torch import Tensor

from engine.errors import ConfigError
from engine.hub import load_transformers


def interleave_pairs(weight: Tensor, head_dim: int) -> Tensor:
    """Reorder the leading dimension [heads * D, ...] from (i, i + D/2) pairs to neighbours."""
    halves = weight.view(-1, 2, head_dim // 2, *weight.shape[1:])
    return halves.transpose(1, 2).reshape(weight.shape)


def pairs_apart(rows: Tensor, head_dim: int) -> Tensor:
    """Interleaved rows [heads * D, ...] as a view [heads, 2, D/2, ...] in the order of checkpoints, to write to."""
    return rows.view(-1, head_dim // 2, 2, *rows.shape[1:]).transpose(1, 2)


def inverse_frequencies(config: dict[str, Any], head_dim: int) -> tuple[Tensor, float]:
    """[D/2] inverse frequencies and the factor on cos and sin, from a Hugging Face config of any generation."""
    rope = dict(config.get("rope_parameters") or config.get("rope_scaling") or {})
    theta = float(rope.get("rope_theta") or config.get("rope_theta") or 10000.0)
    kind = rope.get("rope_type") or rope.get("type") or "default"
    if kind == "default":
        return theta ** (-torch.arange(0, head_dim, 2, dtype=torch.float32) / head_dim), 1.0
    if kind not in ("linear", "llama3", "yarn"):
        raise ConfigError(f"rope_type {kind!r} is not supported: allowed are default, linear, llama3, yarn")
    return _scaled_frequencies(config, kind, rope | {"rope_theta": theta, "rope_type": kind}, head_dim)


def rotations(inv_freq: Tensor, scale: float, max_positions: int) -> Tensor:
    """[max_positions, D/2] complex rotation of every position."""
    angles = torch.outer(torch.arange(max_positions, dtype=torch.float32), inv_freq.float())
    return torch.polar(torch.full_like(angles, scale), angles)


def _scaled_frequencies(config: dict[str, Any], kind: str, rope: dict[str, Any], head_dim: int) -> tuple[Tensor, float]:
    transformers = load_transformers()
    keys = ("hidden_size", "num_attention_heads", "max_position_embeddings")
    values = {key: config[key] for key in keys if key in config}
    shaped = transformers.LlamaConfig(**values, head_dim=head_dim, rope_parameters=rope)
    return transformers.modeling_rope_utils.ROPE_INIT_FUNCTIONS[kind](shaped, torch.device("cpu"))
