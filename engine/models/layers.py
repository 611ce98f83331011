"""One decoder layer of the Llama family, in inference form. The target and the draft networks are built from it."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import rms_norm, silu

from engine.models.attention import Group, attend
from engine.models.config import DecoderConfig
from engine.models.kv_cache import KVCache
from engine.models.linear import Linear, Product, build_linear
from engine.models.loader import Weights
from engine.models.quantized.formats import Matrix
from engine.models.rope import interleave_pairs, pairs_apart
from engine.models.shard import WHOLE, Shard

Norm = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class StepInput:
    """The rows of a step as every layer needs them.

    places    [rows] where a row's key and value go: slot * slot_len + row in the slot
    rotation  [rows, heads + 2 * kv_heads, D/2] complex; ones where the values lie
    """

    places: Tensor
    rotation: Tensor
    groups: Sequence[Group]


@dataclass(frozen=True, slots=True)
class LayerWeights:
    """Fused tensors of a layer. `qkv` rows are queries, keys (pairs interleaved for RoPE), values."""

    input_norm: Tensor | None  # None: the attention takes its input as it comes
    post_norm: Tensor
    qkv: Matrix
    qkv_bias: Tensor | None
    o: Matrix
    o_bias: Tensor | None
    gate_up: Matrix
    gate_up_bias: Tensor | None
    down: Matrix
    down_bias: Tensor | None
    qk_norm: Tensor | None  # [heads + kv_heads, D], interleaved
    shard: Shard = WHOLE  # what these tensors are of the layer

    @property
    def matrices(self) -> list[Matrix]:
        return [self.qkv, self.o, self.gate_up, self.down]


def load_layer(
    weights: Weights,
    prefix: str,
    config: DecoderConfig,
    dtype: torch.dtype,
    device: torch.device,
    *,
    input_norm: bool = True,
    attention_input: int | None = None,
    shard: Shard = WHOLE,
) -> LayerWeights:
    """Take and fuse the tensors of the layer whose names begin with `prefix`, e.g. "model.layers.0.".

    Draft layers differ: one without input_norm, one whose queries, keys and values take `attention_input` columns.
    `config` is that of the whole layer, of which `shard` is taken.
    """
    weights, config = shard.layers(weights, config), shard.config(config)
    hidden, inner, dim = config.hidden_size, config.intermediate_size, config.head_dim
    q_rows, kv_rows = config.num_heads * dim, config.num_kv_heads * dim

    def take(name: str, *shape: int) -> Tensor:
        return weights.take(prefix + name, shape, dtype, device)

    def fuse_qkv(suffix: str, *columns: int) -> Tensor:
        fused = torch.empty(q_rows + 2 * kv_rows, *columns, dtype=dtype, device=device)
        for name, part in zip("qkv", fused.split([q_rows, kv_rows, kv_rows]), strict=True):
            place = part if name == "v" or config.rope_neighbours else pairs_apart(part, dim)
            shape = (part.shape[0], *columns)
            weights.take(f"{prefix}self_attn.{name}_proj.{suffix}", shape, dtype, device, into=place)
        return fused

    def fuse_gate_up(suffix: str, *columns: int) -> Tensor:
        names = [f"{prefix}mlp.{name}_proj.{suffix}" for name in ("gate", "up")]
        return weights.fuse(names, (inner, inner), columns, dtype, device)

    return LayerWeights(
        input_norm=take("input_layernorm.weight", hidden) if input_norm else None,
        post_norm=take("post_attention_layernorm.weight", hidden),
        qkv=fuse_qkv("weight", attention_input or hidden),
        qkv_bias=fuse_qkv("bias") if config.qkv_bias else None,
        o=take("self_attn.o_proj.weight", hidden, q_rows),
        o_bias=take("self_attn.o_proj.bias", hidden) if config.o_bias else None,
        gate_up=fuse_gate_up("weight", hidden),
        gate_up_bias=fuse_gate_up("bias") if config.mlp_bias else None,
        down=take("mlp.down_proj.weight", hidden, inner),
        down_bias=take("mlp.down_proj.bias", hidden) if config.mlp_bias else None,
        qk_norm=_head_norms(take, config) if config.qk_norm else None,
        shard=shard,
    )


def _head_norms(take: Callable[..., Tensor], config: DecoderConfig) -> Tensor:
    q = interleave_pairs(take("self_attn.q_norm.weight", config.head_dim), config.head_dim)
    k = interleave_pairs(take("self_attn.k_norm.weight", config.head_dim), config.head_dim)
    return torch.cat([q.expand(config.num_heads, -1), k.expand(config.num_kv_heads, -1)])


class Layer:
    """x -> x + attention(norm(x)) -> x + mlp(norm(x)), with x [rows, hidden] changed in place.

    `config` has the shapes of these weights, so of a shard where they are one.
    """

    def __init__(self, weights: LayerWeights, config: DecoderConfig, index: int, product: Product):
        self.index = index
        self.window = config.windows[index]
        self._dim = config.head_dim
        self._q_width = config.num_heads * config.head_dim
        self._inner = config.intermediate_size
        self._input_norm = (
            _as_it_is if weights.input_norm is None else build_norm(weights.input_norm, config.rms_norm_eps)
        )
        self._post_norm = build_norm(weights.post_norm, config.rms_norm_eps)
        self._qk_norm, self._eps = weights.qk_norm, config.rms_norm_eps
        self._qkv: Linear = build_linear(weights.qkv, weights.qkv_bias, product)
        self._o = weights.shard.summed(build_linear(weights.o, weights.o_bias, product))
        self._gate_up: Linear = build_linear(weights.gate_up, weights.gate_up_bias, product)
        self._down = weights.shard.summed(build_linear(weights.down, weights.down_bias, product))

    def __call__(self, x: Tensor, step: StepInput, cache: KVCache) -> Tensor:
        x.add_(self.attention(self._input_norm(x), step, cache))
        return x.add_(self.feed_forward(x))

    def attention(self, normed: Tensor, step: StepInput, cache: KVCache) -> Tensor:
        """normed [rows, columns of qkv] -> [rows, hidden]; writes the rows' keys and values into the cache."""
        qkv = self._qkv(normed)
        if self._qk_norm is not None:
            self._normalise_heads(qkv, self._qk_norm)
        qkv = _rotate(qkv, step.rotation)
        cache.layers[self.index].index_copy_(0, step.places, qkv[:, self._q_width :])
        query = qkv[:, : self._q_width]
        return self._o(attend(query, cache, self.index, step.groups, self.window, self._dim))

    def feed_forward(self, x: Tensor) -> Tensor:
        """x [rows, hidden] -> mlp(norm(x)), without the residual."""
        inner = self._gate_up(self._post_norm(x))
        return self._down(silu(inner[:, : self._inner]).mul_(inner[:, self._inner :]))

    def _normalise_heads(self, qkv: Tensor, weight: Tensor) -> None:
        heads = qkv.view(qkv.shape[0], -1, self._dim)[:, : weight.shape[0]]
        heads.copy_(rms_norm(heads, (self._dim,), None, self._eps) * weight)


def _as_it_is(x: Tensor) -> Tensor:
    return x


def build_norm(weight: Tensor, eps: float) -> Norm:
    """RMSNorm over the last dimension: x / sqrt(mean(x^2) + eps) * weight."""
    width = weight.shape[0]
    if weight.device.type != "cpu" or weight.dtype != torch.float32:
        return lambda x: rms_norm(x, (width,), weight, eps)
    # The same with the fewest operations: x * w * sqrt(n) / hypot(|x|, sqrt(eps * n)).
    scaled, floor = weight * math.sqrt(width), torch.tensor(math.sqrt(eps * width))
    norm, hypot = torch.linalg.vector_norm, torch.hypot
    return lambda x: (x * scaled).div_(hypot(norm(x, 2, -1, True), floor))


def _rotate(qkv: Tensor, rotation: Tensor) -> Tensor:
    """Rotate queries and keys (values meet ones); computed in fp32 whatever the dtype."""
    exact = qkv if qkv.dtype == torch.float32 else qkv.float()
    torch.view_as_complex(exact.view(qkv.shape[0], rotation.shape[1], -1, 2)).mul_(rotation)
    return exact if exact is qkv else exact.to(qkv.dtype)
