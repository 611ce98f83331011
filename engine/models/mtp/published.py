"""Blocks that transformers computes: mixtures of experts and latent attention, over the engine's cache.

A step runs one sequence after the other. A position's key and value (or its latent and rotary part) are one row of the
cache, as in the native layers, so a rejected draft needs no clean-up here either.
"""

from collections.abc import Mapping, Sequence
from importlib import import_module
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from engine.errors import ConfigError
from engine.hub import load_transformers
from engine.models.attention import Span
from engine.models.kv_cache import KVCache
from engine.models.loader import Weights
from engine.models.mtp.families import PublishedBlock

FUSED = {"experts.gate_up_proj": ("gate_proj", "up_proj"), "experts.down_proj": ("down_proj",)}
EXACT = "e_score_correction_bias"  # stays fp32 in every dtype


class TransformersBlock:
    """z [rows, H] of the spans of a step -> the block's output [rows, H]."""

    def __init__(
        self,
        kind: PublishedBlock,
        raw: Mapping[str, Any],
        weights: Weights,
        prefix: str,
        index: int,
        max_model_len: int,
        like: tuple[torch.dtype, torch.device],
    ):
        classes = _classes(kind)
        config = _config(classes, kind, raw)
        self._index = index
        self._layer = _load(_build(classes, kind, config), weights, prefix, like)
        rotary = getattr(classes, f"{kind.stem}RotaryEmbedding")(config).to(like[1])
        probe = torch.zeros(1, dtype=like[0], device=like[1])
        self._cos, self._sin = rotary(probe, torch.arange(max_model_len, device=like[1])[None])

    def __call__(self, z: Tensor, short: Sequence[Span], long: Sequence[Span], cache: KVCache) -> Tensor:
        spans = [*short, *long]
        parts = z.split([span.length for span in spans])
        return torch.cat([self._run(part, span, cache) for part, span in zip(parts, spans, strict=True)])

    def _run(self, z: Tensor, span: Span, cache: KVCache) -> Tensor:
        end = span.start + span.length
        at = slice(span.start, end)
        places = torch.arange(span.start, end, device=z.device)[:, None]
        hidden = torch.arange(end, device=z.device) > places
        mask = torch.zeros(hidden.shape, dtype=z.dtype, device=z.device).masked_fill_(hidden, float("-inf"))
        out = self._layer(
            hidden_states=z[None],
            position_embeddings=(self._cos[:, at], self._sin[:, at]),
            attention_mask=mask[None, None],
            past_key_values=SpanCache(cache, self._index, span),
        )
        return out[0]


class SpanCache:
    """What transformers' attention asks of a cache, for one span of one sequence."""

    def __init__(self, cache: KVCache, layer: int, span: Span):
        first = span.slot * cache.max_model_len
        self._rows, self._span = cache.layers[layer][first : first + cache.max_model_len], span

    def update(self, keys: Tensor, values: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Store the span's [1, heads, length, D] and return those of all positions up to its end."""
        start, end = self._span.start, self._span.start + self._span.length
        first = 0
        found = []
        for part in (keys, values):
            heads, width = part.shape[1], part.shape[3]
            columns = slice(first, first + heads * width)
            self._rows[start:end, columns] = part[0].transpose(0, 1).flatten(1)
            found.append(self._rows[:end, columns].view(1, end, heads, width).transpose(1, 2))
            first += heads * width
        return found[0], found[1]


def cache_heads(kind: PublishedBlock, raw: Mapping[str, Any]) -> tuple[int, int]:
    """Heads and their width such that keys and values of that shape make rows wide enough for this block."""
    if raw.get("kv_lora_rank"):
        return 1, (raw["kv_lora_rank"] + raw["qk_rope_head_dim"] + 1) // 2
    heads = raw["num_attention_heads"]
    return raw.get("num_key_value_heads") or heads, raw.get("head_dim") or raw["hidden_size"] // heads


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
    own: dict[str, Any] = {"first_k_dense_replace": 0} if "first_k_dense_replace" in raw else {}
    if raw.get("kv_lora_rank"):
        own["head_dim"] = raw["qk_rope_head_dim"]  # what is rotated of a latent head
    if kind.package == "qwen3_next":
        layers = raw["num_hidden_layers"]
        own = {"layer_types": ["full_attention"] * layers, "decoder_sparse_step": 1, "mlp_only_layers": []}
    config = getattr(classes, f"{kind.stem}Config")(**values | own)
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
    each = (shape[1] // len(names), shape[2])
    return torch.stack(
        [
            torch.cat([weights.take(f"{prefix}experts.{i}.{name}.weight", each, *like) for name in names])
            for i in range(shape[0])
        ]
    )


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
