"""Attention over the cache: the kernel against its reference, and the reference against the engine's own attention."""

import pytest
import torch
from attention_cases import case
from kernel_checks import DTYPES, assert_builds, assert_same

from kernels.tree_attention import reference

SHAPES = [  # q_len, prefixes (0: no valid row), (heads, kv_heads), D
    (1, [1, 15, 16, 17], (1, 1), 32),
    (1, [101, 0, 40], (8, 1), 128),
    (3, [17, 1, 0], (4, 2), 64),
    (8, [130, 16], (6, 3), 80),
    (17, [15, 33], (4, 2), 256),
    (64, [40], (2, 1), 32),
    (65, [9, 1], (1, 1), 32),
]


@pytest.mark.parametrize("tree", [False, True], ids=["chain", "tree"])
@pytest.mark.parametrize(("q_len", "prefix", "heads", "dim"), SHAPES)
def test_kernel_equals_reference(q_len, prefix, heads, dim, tree):
    from kernels.tree_attention.triton import attend

    inputs = case(q_len, prefix, heads=heads, dim=dim, tree=tree)
    assert_same(attend(*inputs), reference.attend(*inputs))


@pytest.mark.parametrize("tree", [False, True], ids=["chain", "tree"])
@pytest.mark.parametrize("dtype", DTYPES[1:])
def test_half_precision(dtype, tree):
    from kernels.tree_attention.triton import attend

    inputs = case(5, [70, 3], heads=(4, 1), dim=96, dtype=dtype, tree=tree)
    assert_same(attend(*inputs), reference.attend(*inputs))


@pytest.mark.parametrize("tree", [False, True], ids=["chain", "tree"])
@pytest.mark.parametrize("block_len", [4, 16, 64])
def test_blocks_may_lie_anywhere(block_len, tree):
    from kernels.tree_attention.triton import attend

    inputs = case(6, [90, 31, 0, 64], tree=tree, block_len=block_len)
    assert_same(attend(*inputs), reference.attend(*inputs))


@pytest.mark.parametrize("tree", [False, True], ids=["chain", "tree"])
@pytest.mark.parametrize("window", [1, 2, 5, 33, 500])
def test_window(window, tree):
    from kernels.tree_attention.triton import attend

    inputs = case(9, [120, 3], tree=tree, window=window)
    assert_same(attend(*inputs), reference.attend(*inputs))


@pytest.mark.parametrize("window", [None, 4])
@pytest.mark.parametrize("q_len", [65, 100, 129])
def test_large_trees(q_len, window):
    """All bits of a mask, and a second word of them."""
    from kernels.tree_attention.triton import attend

    inputs = case(q_len, [19], heads=(1, 1), dim=32, tree=True, window=window)
    assert_same(attend(*inputs), reference.attend(*inputs))


@pytest.mark.parametrize("splits", [1, 2, 7])
def test_any_number_of_splits_gives_the_same(splits):
    from kernels.tree_attention.triton import attend

    inputs = case(4, [150, 20, 0], tree=True, window=60)
    assert_same(attend(*inputs, splits=splits), reference.attend(*inputs))


def launches() -> None:
    """A decoding step, small and large trees and a prompt's chunk of a Llama-3.1-8B shape; the largest head with a
    window; exact blocks.
    """
    from kernels.tree_attention.triton import attend

    def launch(q_len, dtype, *, heads=32, kv_heads=8, dim=128, blocks=1, batch=4, **options):
        query = torch.empty(batch, q_len, heads, dim, dtype=dtype, device="meta")
        cache = torch.empty(4096, 2 * kv_heads * dim, dtype=dtype, device="meta")
        words = options.pop("words", 1)
        masks = torch.empty(batch, q_len, words, dtype=torch.int64, device="meta") if q_len > 1 and words else None
        index = torch.empty(batch, dtype=torch.int64, device="meta")
        table = torch.empty(batch, blocks, dtype=torch.int32, device="meta")
        attend(query, cache, table, index, index, masks, 0.1, 2048 // blocks, **options)

    launch(1, torch.bfloat16)
    launch(8, torch.float16)
    launch(64, torch.bfloat16, words=2)
    launch(512, torch.bfloat16, words=0, batch=1)
    launch(64, torch.bfloat16, dim=256, window=512)
    launch(4, torch.float32, dim=80, blocks=128, splits=1)


def test_compiles_for_every_chip():
    assert_builds(launches)
