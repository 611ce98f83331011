"""Two launches: how far back each place of a text matches its end, in parts; then the best place of each text."""

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK = 1024  # places of a program


def ngram_lookup(
    tokens: Tensor, lengths: Tensor, low: int, high: int, num_tokens: int, block: int = BLOCK
) -> tuple[Tensor, Tensor]:
    """See reference.ngram_lookup. The tensors are contiguous."""
    batch, most = tokens.shape
    parts = triton.cdiv(max(most - 1, 1), block)
    keys = torch.empty((batch, parts), dtype=torch.int64, device=tokens.device)
    drafts = torch.empty((batch, num_tokens), dtype=tokens.dtype, device=tokens.device)
    counts = torch.empty((batch,), dtype=lengths.dtype, device=tokens.device)
    _match_parts[(batch, parts)](tokens, lengths, keys, most, low, high, BLOCK=block, num_warps=4)
    _take_best[(batch,)](
        tokens, lengths, keys, drafts, counts, most, num_tokens, parts,
        PART=block, PARTS=triton.next_power_of_2(parts), TOKENS=triton.next_power_of_2(num_tokens), num_warps=1,
    )  # fmt: skip
    return drafts, counts


@triton.jit
def _match_parts(tokens, lengths, keys, most, low, high, BLOCK: tl.constexpr):
    """keys[b, part]: of the longest match, then the earliest end, (n << 32) - end; 0 without one of `low` tokens."""
    row, part = tl.program_id(0).to(tl.int64), tl.program_id(1)
    length = tl.load(lengths + row).to(tl.int32)
    end = 1 + part * BLOCK + tl.arange(0, BLOCK)
    if 1 + part * BLOCK >= length:
        return
    text = tokens + row * most
    matched, n = tl.zeros((BLOCK,), tl.int32), 0
    going = (end < length).to(tl.int32)
    while tl.max(going, 0) > 0:
        reaches = (going > 0) & (n < end) & (n < high)
        token = tl.load(text + end - 1 - n, mask=reaches, other=0)
        last = tl.load(text + tl.maximum(length - 1 - n, 0))
        going = (reaches & (token == last)).to(tl.int32)
        matched += going
        n += 1
    key = tl.where(matched >= low, (matched.to(tl.int64) << 32) - end, 0)
    tl.store(keys + row * tl.num_programs(1) + part, tl.max(key, 0))


@triton.jit
def _take_best(
    tokens, lengths, keys, drafts, counts, most, num_tokens, parts,
    PART: tl.constexpr, PARTS: tl.constexpr, TOKENS: tl.constexpr,
):  # fmt: skip
    """Program b: the tokens after the end that the largest key names."""
    row, part, place = tl.program_id(0).to(tl.int64), tl.arange(0, PARTS), tl.arange(0, TOKENS)
    length = tl.load(lengths + row).to(tl.int32)
    written = (part < parts) & (1 + part * PART < length)
    best = tl.max(tl.load(keys + row * parts + part, mask=written, other=0), 0)
    end = ((-best) & 0xFFFFFFFF).to(tl.int32)
    count = tl.where(best > 0, tl.minimum(num_tokens, length - end), 0)
    token = tl.load(tokens + row * most + end + place, mask=place < count, other=-1)
    tl.store(drafts + row * num_tokens + place, token, mask=place < num_tokens)
    tl.store(counts + row, count)
