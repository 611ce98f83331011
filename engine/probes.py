"""Passes of the target outside any request: to warm shapes up, and to ask what it would choose. For idle engines."""

import itertools
from collections.abc import Sequence as Sequences

import torch
from torch import Tensor

from engine import sampler
from engine.loading import Target
from engine.models.attention import Nodes, Span
from engine.models.decoder import Decoder
from engine.models.kv_cache import KVCache
from engine.sequence import Sequence
from engine.speculative_config import SpeculativeConfig
from engine.tree.shape import Shape, chain, shape_of
from engine.tree.token_tree import TokenTree


@torch.inference_mode()
def run_shapes(decoder: Decoder, cache: KVCache, max_batch: int, drafts: Sequences[Shape]) -> None:
    """Run every batch size with each of these drafts."""
    for batch, draft in itertools.product(range(1, max_batch + 1), drafts):
        rows, tree = len(draft.row_masks), None if draft.is_chain else Nodes(0, draft.row_masks)
        spans = [Span(slot, 0, rows, tree) for slot in range(batch)]
        decoder.forward([0] * (batch * rows), spans, [], cache)


def draft_shapes(config: SpeculativeConfig, depth: int) -> list[Shape]:
    """No draft, half a draft and a whole draft of at most `depth` levels, as a config makes them."""
    half = depth // 2
    if config.dynamic_tree_num_draft_tokens is not None:
        most = config.dynamic_tree_num_draft_tokens  # their shapes differ, but not their sizes
        return [chain(0), *(shape_of((-1,) * count) for count in sorted({(most + 1) // 2, most}))]
    if config.speculative_token_tree is not None:
        tree = TokenTree.parse(config.speculative_token_tree, config.num_speculative_tokens or 0)
        cut = {len(found): found for found in (tree.within(half), tree.within(depth))}
        return [chain(0), *(shape_of(tuple(found.parents)) for size, found in cut.items() if size)]
    return [chain(length) for length in sorted({0, half, depth})]


@torch.inference_mode()
def scores(target: Target, cache: KVCache, sequence: Sequence) -> Tensor:
    """[V] scores whose argmax is the next token of `sequence`."""
    length = len(sequence)
    logits = target.decoder.forward(sequence.tokens, [], [Span(0, 0, length)], cache, [length - 1]).logits
    if sequence.params.changes_logits:
        sampler.apply(logits, [sampler.Row(0, sequence, ())], target.config.eos_token_ids)
    return logits[0]
