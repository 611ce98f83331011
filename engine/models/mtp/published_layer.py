"""Layers of transformers, filled with the tensors of a checkpoint as they are published."""

from collections.abc import Mapping
from importlib import import_module
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from engine.errors import ConfigError
from engine.hub import load_transformers
from engine.models.loader import Weights
from engine.models.mtp.families import PublishedBlock

FUSED = {"experts.gate_up_proj": ("gate_proj", "up_proj"), "experts.down_proj": ("down_proj",)}
EXACT = "e_score_correction_bias"  # stays fp32 in every dtype


def load_published(
    kind: PublishedBlock,
    raw: Mapping[str, Any],
    weights: Weights,
    prefix: str,
    like: tuple[torch.dtype, torch.device],
) -> tuple[nn.Module, nn.Module]:
    """The layer whose tensors begin with `prefix`, and the module that makes cos and sin of positions."""
    classes = _classes(kind)
    config = _config(classes, kind, raw)
    rotary = getattr(classes, f"{kind.stem}RotaryEmbedding")(config).to(like[1])
    return _load(_build(classes, kind, config), weights, prefix, like), rotary


def _classes(kind: PublishedBlock) -> ModuleType:
    load_transformers()
    try:
        return import_module(f"transformers.models.{kind.package}.modeling_{kind.package}")
    except ModuleNotFoundError:
        raise ConfigError(
            f"the installed transformers has no {kind.stem}, which computes the block of these MTP modules: "
            "they cannot be run until it has"
        ) from None


def _config(classes: ModuleType, kind: PublishedBlock, raw: Mapping[str, Any]) -> Any:
    """transformers' config, with the modules' own block described as layer 0."""
    values = {key: value for key, value in raw.items() if key not in ("architectures", "layer_types")}
    # What is rotated of a latent head is all that the rotary table has to cover.
    latent = {"head_dim": raw["qk_rope_head_dim"]} if raw.get("kv_lora_rank") else {}
    config = getattr(classes, f"{kind.stem}Config")(**values | latent | kind.settings)
    config._attn_implementation = "sdpa"
    config._experts_implementation = "eager"
    return config


def _build(classes: ModuleType, kind: PublishedBlock, config: Any) -> nn.Module:
    with torch.device("meta"):
        if kind.kind == "layer":
            return getattr(classes, f"{kind.stem}DecoderLayer")(config, 0)
        return LatentDenseLayer(classes, kind.stem, config)


def _load(layer: nn.Module, weights: Weights, prefix: str, like: tuple[torch.dtype, torch.device]) -> nn.Module:
    """Take every tensor of the layer, the experts one by one as they are published."""
    state = {}
    for name, empty in layer.state_dict().items():
        fused = next((stem for stem in FUSED if name.endswith(stem)), None)
        if fused:
            state[name] = _experts(weights, prefix + name.removesuffix(fused), FUSED[fused], tuple(empty.shape), like)
        else:
            dtype = torch.float32 if name.endswith(EXACT) else like[0]
            state[name] = weights.take(prefix + name, tuple(empty.shape), dtype, like[1])
    layer.load_state_dict(state, assign=True)
    return layer.eval().requires_grad_(False)


def _experts(
    weights: Weights,
    prefix: str,
    names: tuple[str, ...],
    shape: tuple[int, ...],
    like: tuple[torch.dtype, torch.device],
) -> Tensor:
    """[experts, rows, columns], where an expert's rows are those of all `names`."""
    parts = [f"{prefix}experts.{i}.{name}.weight" for i in range(shape[0]) for name in names]
    return weights.fuse(parts, [shape[1] // len(names)] * len(parts), shape[2:], *like).view(shape)


class LatentDenseLayer(nn.Module):
    """LongCat-Flash's module: latent attention, then a dense network, each behind its norm."""

    def __init__(self, classes: ModuleType, stem: str, config: Any):
        super().__init__()
        norm = getattr(classes, f"{stem}RMSNorm")
        self.input_layernorm = norm(config.hidden_size, eps=config.rms_norm_eps)
        self.post_attention_layernorm = norm(config.hidden_size, eps=config.rms_norm_eps)
        self.self_attn = getattr(classes, f"{stem}MLA")(config, 0)
        self.transformer_layer = nn.ModuleDict({"mlp": getattr(classes, f"{stem}MLP")(config)})

    def forward(self, hidden_states: Tensor, **step: Any) -> Tensor:
        x = hidden_states + self.self_attn(hidden_states=self.input_layernorm(hidden_states), **step)[0]
        return x + self.transformer_layer["mlp"](self.post_attention_layernorm(x))
