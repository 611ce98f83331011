"""Layers of AWQ and GPTQ that stay in 4 bits on a GPU, fused and in the engine's order as unquantized ones are.

Fusing, the order of RoPE and the parts of tensor parallelism move rows and cut columns. So a layer is loaded thrice,
with codes, zeros and scales in the place of weights, one for every weight, and packed: at most one layer is unpacked.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from engine.models.config import DecoderConfig
from engine.models.layers import LayerWeights, load_layer
from engine.models.loader import Weights, place
from engine.models.quantized.formats import FourBits
from engine.models.quantized.reader import QuantizedWeights
from engine.models.shard import Shard
from engine.models.tensor_files import Part
from kernels.quantized_linear.reference import pack_int4

GROUPS = (32, 64, 128)  # of kernels/quantized_linear
MATRICES = ("qkv", "o", "gate_up", "down")
NAMES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
KINDS = {"codes": torch.uint8, "zeros": torch.uint8, "scales": torch.float16}


def load_layers(
    weights: Weights,
    prefixes: Sequence[str],
    config: DecoderConfig,
    dtype: torch.dtype,
    device: torch.device,
    shard: Shard,
) -> tuple[list[LayerWeights], str]:
    """The layers whose names begin with `prefixes`, and a line on how they were stored and what was made of them."""
    expand = partial(load_layer, config=config, dtype=dtype, device=device, shard=shard)
    if not isinstance(weights, QuantizedWeights):
        return [expand(weights, prefix) for prefix in prefixes], ""
    keeps = [can_multiply_codes(device) and _keepable(weights, prefix, shard.config(config)) for prefix in prefixes]
    layers = [
        _kept(weights, prefix, expand) if keep else expand(weights, prefix)
        for keep, prefix in zip(keeps, prefixes, strict=True)
    ]
    how = "kept in 4 bits" if all(keeps) else "kept in part" if any(keeps) else "expanded at load"
    return layers, f"{weights.stored} ({how})"


def can_multiply_codes(device: torch.device) -> bool:
    """A GPU with triton; a CPU has no quick product of them in every dtype."""
    return device.type == "cuda" and find_spec("triton") is not None


def _keepable(weights: QuantizedWeights, prefix: str, config: DecoderConfig) -> bool:
    """In 4 bits, all of its matrices, with groups of neighbouring inputs that no part cuts through."""
    size, widths = weights.stored.group_size, (config.hidden_size, config.num_heads * config.head_dim)
    if weights.stored.bits != 4 or size not in GROUPS or any(w % size for w in (*widths, config.intermediate_size)):
        return False
    names = [f"{prefix}{'mlp' if name[0] in 'gud' else 'self_attn'}.{name}.weight" for name in NAMES]
    return all(weights.is_quantized(name) and weights.has_neighbouring_groups(name) for name in names)


def _kept(weights: QuantizedWeights, prefix: str, load: Callable[..., LayerWeights]) -> LayerWeights:
    codes, zeros, scales = (load(_Field(weights, kind), prefix, dtype=KINDS[kind]) for kind in KINDS)
    size = weights.stored.group_size
    kept: dict[str, Any] = {
        name: FourBits(
            pack_int4(getattr(codes, name), size),
            getattr(scales, name)[:, ::size].contiguous(),
            getattr(zeros, name)[:, ::size].contiguous(),
        )
        for name in MATRICES
    }
    return replace(load(_Field(weights, None), prefix), **kept)


class _Field(Weights):
    """One value of every weight in the place of matrices, or with None nothing there and the other tensors."""

    def __init__(self, weights: QuantizedWeights, kind: str | None):
        self.folder, self._weights, self._kind = weights.folder, weights, kind

    def take(
        self,
        name: str,
        shape: tuple[int, ...],
        dtype: torch.dtype,
        device: torch.device,
        part: Part | None = None,
        into: Tensor | None = None,
    ) -> Tensor:
        if not self._weights.is_quantized(name):
            return self._beside(name, shape, dtype, device, part, into)
        self._weights.check_shape(name, shape)
        values = self._values(name, device)
        return place(values if part is None else values[part], dtype, device, into)

    def _values(self, name: str, device: torch.device) -> Tensor:
        """[out, in]."""
        if self._kind is None:
            return torch.empty(1, dtype=torch.uint8, device=device).expand(self._weights.shape(name))
        found = self._weights.codes(name, device)
        if self._kind == "codes":
            return found.codes
        return (found.zeros if self._kind == "zeros" else found.scales)[:, found.group]

    def _beside(
        self,
        name: str,
        shape: tuple[int, ...],
        dtype: torch.dtype,
        device: torch.device,
        part: Part | None,
        into: Tensor | None,
    ) -> Tensor:
        if self._kind is None:
            return self._weights.take(name, shape, dtype, device, part, into)
        empty = torch.empty(shape, dtype=dtype, device=device)
        return empty if part is None else empty[part]
