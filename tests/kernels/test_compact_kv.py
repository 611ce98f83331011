"""KV compaction: the kernel against its reference, and both against the engine's cache."""

import pytest
import torch
from kernel_checks import DEVICE, DTYPES, assert_builds, random, unwritten

from kernels.compact_kv import reference
from kernels.compact_kv.op import addresses, compact_kv

PATHS = [([0, 2, 5], 3), ([1, 2, 3, 4], 4), ([3], 1), ([0, 1, 2, 7, 8, 9, 11], 7), ([4, 6], 0)]  # nodes, how many count


def cache(num_layers: int, width: int, dtype: torch.dtype) -> list[torch.Tensor]:
    """Rows of five slots of 20; the rows from 15 on of every slot were never written."""
    layers = [random(5, 20, width, dtype=dtype, seed=seed) for seed in range(num_layers)]
    for layer in layers:
        layer[:, 15:] = float("nan")
    return [layer.view(100, width) for layer in layers]


def paths(max_path: int, dtype: torch.dtype = torch.int64) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """source, goal and counts; what lies beyond a count is never looked at."""
    source, goal = unwritten(5, max_path, dtype=dtype), unwritten(5, max_path, dtype=dtype)
    for slot, (nodes, _) in enumerate(PATHS):
        start = slot * 20 + 3
        source[slot, : len(nodes)] = torch.tensor(nodes, device=DEVICE) + start
        goal[slot, : len(nodes)] = torch.arange(len(nodes), device=DEVICE) + start
    return source, goal, torch.tensor([count for _, count in PATHS], device=DEVICE, dtype=dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("width", "max_path", "index"), [(2, 7, torch.int32), (192, 8, torch.int64), (1030, 13, torch.int32)]
)
def test_kernel_moves_what_the_reference_moves(width, max_path, index, dtype):
    from kernels.compact_kv.triton import compact

    moves = paths(max_path, index)
    layers, expected = cache(3, width, dtype), cache(3, width, dtype)
    compact(layers, addresses(layers), *moves)
    reference.compact(expected, *moves)
    for got, want in zip(layers, expected, strict=True):
        assert torch.equal(got.nan_to_num(7.0), want.nan_to_num(7.0))


def test_reference_is_the_cache_s_own_compaction():
    from engine.models.kv_cache import KVCache

    layers, expected = cache(2, 64, torch.float32), cache(2, 64, torch.float32)
    own = KVCache.__new__(KVCache)
    own.layers, own.slot_len = expected, 20
    own.compact([(slot, 3, nodes[:count]) for slot, (nodes, count) in enumerate(PATHS)])
    reference.compact(layers, *paths(9))
    for got, want in zip(layers, expected, strict=True):
        assert torch.equal(got.nan_to_num(7.0), want.nan_to_num(7.0))


def test_rows_may_go_up_and_cross():
    from kernels.compact_kv.triton import compact

    layers = [torch.arange(12, device=DEVICE, dtype=torch.float32).view(6, 2)]
    rows = torch.tensor([[0, 1, 4]], device=DEVICE), torch.tensor([[1, 4, 0]], device=DEVICE)
    compact(layers, addresses(layers), *rows, torch.tensor([3], device=DEVICE))
    assert layers[0][:, 0].tolist() == [8, 0, 4, 6, 2, 10]


def test_operator_passes_torch_s_own_checks():
    layers = cache(2, 8, torch.float32)
    layers = [layer.nan_to_num(0.0) for layer in layers]
    torch.library.opcheck(compact_kv, (layers, addresses(layers), *paths(8)))


def test_a_layer_that_is_not_rows_of_words_is_refused():
    with pytest.raises(ValueError, match="32-bit words"):
        addresses([torch.zeros(4, 3, dtype=torch.bfloat16)])


def launches() -> None:
    from kernels.compact_kv.triton import compact

    for dtype in DTYPES:
        layers = [torch.empty(64, 2048, dtype=dtype, device="meta")] * 4
        table, counts = (
            torch.empty(4, dtype=torch.int64, device="meta"),
            torch.empty(3, dtype=torch.int64, device="meta"),
        )
        for max_path in (5, 64):
            rows = torch.empty(3, max_path, dtype=torch.int64, device="meta")
            compact(layers, table, rows, rows, counts)


def test_compiles_for_every_chip():
    assert_builds(launches)
