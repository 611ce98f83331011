"""Prompt lookup: the kernel against its reference, and the reference against the engine's index."""

import random as host_random

import pytest
import torch
from kernel_checks import DEVICE, assert_builds, unwritten

from engine.proposers.ngram import NgramIndex
from kernels.ngram_lookup import reference
from kernels.ngram_lookup.op import ngram_lookup


def texts(max_len, dtype=torch.int64, seed=0, symbols=3):
    """Rows of few symbols, so that they repeat themselves, of all kinds of lengths; never written beyond them."""
    host = host_random.Random(seed)
    lengths = [0, 1, 2, max_len, *(host.randint(3, max_len) for _ in range(4))]
    tokens = unwritten(len(lengths), max_len, dtype=dtype)
    for row, length in enumerate(lengths):
        symbols_here = symbols if row % 2 else 50
        written = [host.randrange(symbols_here) for _ in range(length)]
        tokens[row, :length] = torch.tensor(written, dtype=dtype)
    return tokens, torch.tensor(lengths, device=DEVICE)


WINDOWS = [(1, 1, 1), (1, 4, 3), (2, 3, 5), (5, 5, 8), (3, 64, 2)]  # low, high, tokens


@pytest.mark.parametrize(("low", "high", "num_tokens"), WINDOWS)
def test_reference_is_the_engine_s_rule(low, high, num_tokens):
    for seed in range(20):
        tokens, lengths = texts(60, seed=seed)
        drafts, counts = reference.ngram_lookup(tokens, lengths, low, high, num_tokens)
        for row, length in enumerate(lengths.tolist()):
            expected = NgramIndex(low, high).continuation(tokens[row, :length].tolist(), num_tokens)
            assert drafts[row].tolist() == expected + [-1] * (num_tokens - len(expected))
            assert counts[row] == len(expected)


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64])
@pytest.mark.parametrize("block", [16, 128])
@pytest.mark.parametrize(("low", "high", "num_tokens"), WINDOWS)
def test_kernel_equals_the_reference(low, high, num_tokens, block, dtype):
    from kernels.ngram_lookup import triton

    tokens, lengths = texts(75, dtype, low + block)
    got = triton.ngram_lookup(tokens, lengths, low, high, num_tokens, block=block)
    expected = reference.ngram_lookup(tokens, lengths, low, high, num_tokens)
    assert (got[0].dtype, got[1].dtype) == (dtype, torch.int64)
    assert torch.equal(got[0], expected[0])
    assert torch.equal(got[1], expected[1])


def test_longest_wins_then_earliest():
    from kernels.ngram_lookup import triton

    text = torch.tensor([[1, 2, 7, 9, 1, 2, 8, 5, 1, 2, 8, 6, 3, 1, 2, 8]], device=DEVICE)
    lengths = torch.tensor([16], device=DEVICE)
    for find in (reference.ngram_lookup, triton.ngram_lookup):
        assert find(text, lengths, 1, 5, 3)[0].tolist() == [[5, 1, 2]]  # 1 2 8 at its first place
        assert find(text, lengths - 1, 1, 5, 3)[0].tolist() == [[7, 9, 1]]  # 3 1 2 never, 1 2 at its first place


def test_an_occurrence_may_overlap_the_end_and_the_draft_ends_with_the_text():
    from kernels.ngram_lookup import triton

    text, lengths = torch.full((1, 6), 4, device=DEVICE), torch.tensor([6], device=DEVICE)
    for find in (reference.ngram_lookup, triton.ngram_lookup):
        drafts, counts = find(text, lengths, 2, 5, 4)
        assert (drafts.tolist(), counts.tolist()) == ([[4, -1, -1, -1]], [1])


def test_operator_passes_torch_s_own_checks():
    torch.library.opcheck(ngram_lookup, (*texts(20), 1, 3, 4))


def launches() -> None:
    from kernels.ngram_lookup import triton

    for dtype in (torch.int32, torch.int64):
        lengths = torch.empty(64, dtype=dtype, device="meta")
        triton.ngram_lookup(torch.empty(64, 131072, dtype=dtype, device="meta"), lengths, 2, 5, 8)


def test_compiles_for_every_chip():
    assert_builds(launches)
