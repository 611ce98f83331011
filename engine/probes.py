"""Passes of the target outside any request: to warm shapes up, and to ask what it would choose. For idle engines."""

import itertools

import torch
from torch import Tensor

from engine import sampler
from engine.loading import Target
from engine.models.attention import Span
from engine.models.decoder import Decoder
from engine.models.kv_cache import KVCache
from engine.sequence import Sequence


@torch.inference_mode()
def run_shapes(decoder: Decoder, cache: KVCache, max_batch: int, depth: int) -> None:
    """Run every batch size with no draft, half a draft and a whole draft of `depth` tokens."""
    for batch, rows in itertools.product(range(1, max_batch + 1), sorted({1, 1 + depth // 2, 1 + depth})):
        spans = [Span(slot, 0, rows) for slot in range(batch)]
        decoder.forward([0] * (batch * rows), spans, [], cache)


@torch.inference_mode()
def scores(target: Target, cache: KVCache, sequence: Sequence) -> Tensor:
    """[V] scores whose argmax is the next token of `sequence`."""
    length = len(sequence)
    logits = target.decoder.forward(sequence.tokens, [], [Span(0, 0, length)], cache, [length - 1]).logits
    if sequence.params.changes_logits:
        sampler.apply(logits, [sampler.Row(0, sequence, ())], target.config.eos_token_ids)
    return logits[0]
