"""The operator `torch.ops.spectune.ngram_lookup`."""

import torch
from torch import Tensor

from kernels.ngram_lookup import reference


@torch.library.custom_op("spectune::ngram_lookup", mutates_args=())
def ngram_lookup(tokens: Tensor, lengths: Tensor, low: int, high: int, num_tokens: int) -> tuple[Tensor, Tensor]:
    """drafts, counts: see reference.ngram_lookup."""
    if tokens.device.type == "cpu":
        return reference.ngram_lookup(tokens, lengths, low, high, num_tokens)
    from kernels.ngram_lookup import triton

    return triton.ngram_lookup(tokens, lengths, low, high, num_tokens)


@ngram_lookup.register_fake
def _(tokens: Tensor, lengths: Tensor, low: int, high: int, num_tokens: int) -> tuple[Tensor, Tensor]:
    return tokens.new_empty(tokens.shape[0], num_tokens), lengths.new_empty(tokens.shape[0])
