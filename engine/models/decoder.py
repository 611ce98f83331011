"""The target: a lean decoder for the Llama family (Llama 2/3, Mistral, Qwen2, Qwen3 and the MiMo layout)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from engine.models.attention import Span
from engine.models.config import DecoderConfig
from engine.models.dummy import open_weights
from engine.models.kernel_choice import Kernels, stack_type
from engine.models.kv_cache import KVCache
from engine.models.layers import LayerWeights, build_norm
from engine.models.linear import Product, build_linear
from engine.models.quantized.formats import Matrix
from engine.models.quantized.keeping import load_layers
from engine.models.shard import WHOLE, Shard
from engine.models.stack import Short

FINAL = -1  # the tap after the final norm


@dataclass(frozen=True, slots=True)
class TargetOutput:
    """logits [selected rows, V]; taps: hidden states [rows, H] by boundary.

    Boundary b is the residual stream after b layers, before the norm of what comes next; FINAL is after the final norm.
    """

    logits: Tensor
    taps: dict[int, Tensor]


@dataclass(frozen=True, slots=True)
class DecoderWeights:
    """Everything a decoder is made of, before a product path is chosen."""

    embeddings: Tensor
    layers: list[LayerWeights]
    final_norm: Tensor
    head: Tensor
    shard: Shard = WHOLE  # what layers and head are of the model
    stored: str = ""  # how a quantized checkpoint stores its matrices, and what was made of them

    @property
    def matrices(self) -> list[Matrix]:
        return [matrix for layer in self.layers for matrix in layer.matrices] + [self.head]


def load_weights(
    folder: Path,
    config: DecoderConfig,
    dtype: torch.dtype,
    device: torch.device,
    load_format: str = "auto",
    shard: Shard = WHOLE,
) -> DecoderWeights:
    """Read a shard of the decoder that `config` describes; a tensor missing or left over is an error that names it."""
    weights = open_weights(folder, load_format)
    shape = (config.vocab_size, config.hidden_size)
    embeddings = weights.take("model.embed_tokens.weight", shape, dtype, device)
    prefixes = [f"model.layers.{i}." for i in range(config.num_layers)]
    layers, stored = load_layers(weights, prefixes, config, dtype, device, shard)
    norm = weights.take("model.norm.weight", shape[1:], dtype, device)
    separate = not config.tie_word_embeddings
    head = shard.rows(weights, "lm_head.weight", shape, dtype, device) if separate else shard.rows_of(embeddings)
    weights.finish(config.skips + (() if separate else ("lm_head.weight",)))
    return DecoderWeights(embeddings, layers, norm, head, shard, stored)


class Decoder:
    """Rows in, logits out. Owns the weights; the cache is given to every call.

    `config` has the shapes of these weights, so of a shard where they are one.
    """

    def __init__(
        self,
        config: DecoderConfig,
        weights: DecoderWeights,
        max_model_len: int,
        product: Product,
        kernels: Kernels = "torch",
    ):
        self.config = config
        self.product = product
        self.embeddings = weights.embeddings
        self.stored = {"quantization": weights.stored} if weights.stored else {}  # for the record
        device, dtype = weights.embeddings.device, weights.embeddings.dtype
        self.stack = stack_type(kernels)(config, weights.layers, max_model_len, dtype, device, product)
        self.norm = build_norm(weights.final_norm, config.rms_norm_eps)
        self.head = weights.shard.gathered(build_linear(weights.head, None, product), config.vocab_size)

    def forward(
        self,
        token_ids: Sequence[int] | Tensor,
        short: Short,
        long: Sequence[Span],
        cache: KVCache,
        logits_rows: Sequence[int] | None = None,
        taps: Sequence[int] = (),
    ) -> TargetOutput:
        """One pass over all rows: `short` spans first (ordered by slot), then `long` ones.

        logits_rows selects the rows that get logits; None is all of them.
        """
        x, kept = self.states(token_ids, short, long, cache, taps)
        selected = x if logits_rows is None else x.index_select(0, self.stack.tensor(logits_rows))
        return TargetOutput(self.head(selected).float(), kept)

    def states(
        self,
        token_ids: Sequence[int] | Tensor,
        short: Short,
        long: Sequence[Span],
        cache: KVCache,
        taps: Sequence[int] = (),
    ) -> tuple[Tensor, dict[int, Tensor]]:
        """The same up to the head: states [rows, H] after the final norm, and what was tapped."""
        stack = self.stack
        ids = token_ids if isinstance(token_ids, Tensor) else stack.tensor(token_ids)
        x, kept = stack.run(self.embeddings.index_select(0, ids), stack.step_input(short, long, cache), cache, taps)
        x = self.norm(x)
        if FINAL in taps:
            kept[FINAL] = x
        return x, kept
