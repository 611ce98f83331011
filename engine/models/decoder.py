"""The target: a lean decoder for the Llama family (Llama 2/3, Mistral, Qwen2, Qwen3 and the MiMo layout)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from engine.models.attention import Planner, Span
from engine.models.config import DecoderConfig
from engine.models.kv_cache import KVCache
from engine.models.layers import Layer, LayerWeights, StepInput, build_norm, load_layer
from engine.models.linear import Product, build_linear
from engine.models.loader import Weights
from engine.models.rope import inverse_frequencies, rotations


@dataclass(frozen=True, slots=True)
class TargetOutput:
    """logits [selected rows, V]; taps: hidden states [rows, H] after b layers, by b (b = layers: after the norm)."""

    logits: Tensor
    taps: dict[int, Tensor]


@dataclass(frozen=True, slots=True)
class DecoderWeights:
    """Everything a decoder is made of, before a product path is chosen."""

    embeddings: Tensor
    layers: list[LayerWeights]
    final_norm: Tensor
    head: Tensor

    @property
    def matrices(self) -> list[Tensor]:
        return [matrix for layer in self.layers for matrix in layer.matrices] + [self.head]


def load_weights(folder: Path, config: DecoderConfig, dtype: torch.dtype, device: torch.device) -> DecoderWeights:
    """Read a whole decoder; a tensor missing or left over is an error that names it."""
    weights = Weights(folder)
    shape = (config.vocab_size, config.hidden_size)
    embeddings = weights.take("model.embed_tokens.weight", shape, dtype, device)
    layers = [load_layer(weights, f"model.layers.{i}.", config, dtype, device) for i in range(config.num_layers)]
    norm = weights.take("model.norm.weight", shape[1:], dtype, device)
    separate = not config.tie_word_embeddings
    head = weights.take("lm_head.weight", shape, dtype, device) if separate else embeddings
    weights.finish(config.skips + (() if separate else ("lm_head.weight",)))
    return DecoderWeights(embeddings, layers, norm, head)


class Decoder:
    """Rows in, logits out. Owns the weights and the rotation table; the cache is given to every call."""

    def __init__(self, config: DecoderConfig, weights: DecoderWeights, max_model_len: int, product: Product):
        self.config = config
        self.product = product
        self.embeddings = weights.embeddings
        self.layers = [Layer(layer, config, i, product) for i, layer in enumerate(weights.layers)]
        self.norm = build_norm(weights.final_norm, config.rms_norm_eps)
        self.head = build_linear(weights.head, None, product)
        device, dtype = weights.embeddings.device, weights.embeddings.dtype
        self._table = rotations(*inverse_frequencies(config.raw, config.head_dim), max_model_len).to(device)
        self._planner = Planner(max_model_len, config.windows, dtype, device)
        self._device = device

    def forward(
        self,
        token_ids: Sequence[int],
        short: Sequence[Span],
        long: Sequence[Span],
        cache: KVCache,
        logits_rows: Sequence[int] | None = None,
        taps: Sequence[int] = (),
    ) -> TargetOutput:
        """One pass over all rows: `short` spans first (ordered by slot), then `long` ones.

        logits_rows selects the rows that get logits; None is all of them.
        """
        step = self.step_input(short, long, cache)
        x = self.embeddings.index_select(0, self._tensor(token_ids))
        kept = {0: x.clone()} if 0 in taps else {}
        for layer in self.layers:
            x = layer(x, step, cache)
            if layer.index + 1 in taps and layer.index + 1 < len(self.layers):
                kept[layer.index + 1] = x.clone()
        x = self.norm(x)
        if len(self.layers) in taps:
            kept[len(self.layers)] = x
        selected = x if logits_rows is None else x.index_select(0, self._tensor(logits_rows))
        return TargetOutput(self.head(selected).float(), kept)

    def step_input(self, short: Sequence[Span], long: Sequence[Span], cache: KVCache) -> StepInput:
        positions: list[int] = []
        places: list[int] = []
        for slot, start, count in (*short, *long):
            positions += range(start, start + count)
            places += range(slot * cache.max_model_len + start, slot * cache.max_model_len + start + count)
        groups = self._planner.groups(short, long)
        return StepInput(self._tensor(places), self._rotation(self._tensor(positions)), groups)

    def _rotation(self, positions: Tensor) -> Tensor:
        config = self.config
        rotated, total = config.num_heads + config.num_kv_heads, config.num_heads + 2 * config.num_kv_heads
        out = torch.ones(len(positions), total, config.head_dim // 2, dtype=torch.complex64, device=self._device)
        out[:, :rotated] = self._table.index_select(0, positions)[:, None]
        return out

    def _tensor(self, values: Sequence[int]) -> Tensor:
        return torch.tensor(values, dtype=torch.int64, device=self._device)
