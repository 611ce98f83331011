"""Norm, rotation and cache write: the kernel against its reference, and the reference against the engine's layer."""

import pytest
import torch
from kernel_checks import DEVICE, DTYPES, assert_builds, assert_same, random, unwritten

from engine.models.layers import Layer, _rotate
from engine.models.rope import rotations
from kernels.qk_norm_rope_cache import reference
from kernels.qk_norm_rope_cache.op import qk_norm_rope_cache

PLACES = [7, 2, -1, 40, 3]


def inputs(heads: tuple[int, int], dim: int, dtype: torch.dtype, norm: bool) -> tuple:
    """Five rows, one of them padding; nothing was ever written to the cache."""
    width = 2 * heads[1] * dim
    table = rotations(10000.0 ** (-torch.arange(0, dim, 2) / dim), 1.2, 64).to(DEVICE)
    weights = random(sum(heads), dim, dtype=dtype, seed=1) if norm else None
    qkv = random(len(PLACES), heads[0] * dim + width, dtype=dtype)
    index = torch.tensor([PLACES, [0, 5, 0, 63, 9]], device=DEVICE)
    return qkv, unwritten(48, width, dtype=dtype), index[0], index[1], table, weights, 1e-6


def assert_same_rows(got: torch.Tensor, expected: torch.Tensor) -> None:
    """Valid rows are close, and rows that are nobody's stay NaN."""
    assert torch.equal(got.isnan(), expected.isnan())
    assert_same(got.nan_to_num(0.0), expected.nan_to_num(0.0))


@pytest.mark.parametrize("norm", [False, True], ids=["plain", "qk norm"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("heads", "dim"), [((1, 1), 32), ((4, 2), 64), ((6, 3), 80), ((8, 1), 128), ((5, 5), 256)])
def test_kernel_equals_reference(heads, dim, dtype, norm):
    from kernels.qk_norm_rope_cache.triton import rotate_and_write

    ours, theirs = inputs(heads, dim, dtype, norm), inputs(heads, dim, dtype, norm)
    valid = ours[2] >= 0
    assert_same(rotate_and_write(*ours)[valid], reference.rotate_and_write(*theirs)[valid])
    assert_same_rows(ours[1], theirs[1])


@pytest.mark.parametrize("norm", [False, True], ids=["plain", "qk norm"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_reference_is_what_the_engine_s_layer_does(dtype, norm):
    qkv, cache, places, positions, table, weights, eps = given = inputs((4, 2), 64, dtype, norm)
    layer = Layer.__new__(Layer)
    layer._dim, layer._eps = 64, eps
    row = qkv.clone()
    if weights is not None:
        layer._normalise_heads(row, weights)
    turned = table[positions][:, None].expand(-1, 6, -1)
    row = _rotate(row, torch.cat([turned, torch.ones_like(turned[:, :2])], 1))
    expected, valid = torch.full_like(cache, float("nan")), places >= 0
    expected.index_copy_(0, places[valid], row[valid, 4 * 64 :])
    assert_same(reference.rotate_and_write(*given), row[:, : 4 * 64], tolerance=1e-6)
    assert torch.equal(cache.nan_to_num(9.0), expected.nan_to_num(9.0))


def test_operator_passes_torch_s_own_checks():
    qkv, cache, *rest = inputs((4, 2), 32, torch.float32, norm=True)
    torch.library.opcheck(qk_norm_rope_cache, (qkv, cache.nan_to_num(0.0), *rest))


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (0, torch.zeros(5, 8 * 32, dtype=torch.float16), "one dtype"),
        (0, torch.zeros(5, 100), "heads of 32"),
        (4, torch.zeros(64, 16), "complex64"),
        (5, torch.zeros(5, 32), r"norms are \[6, 32\]"),
    ],
)
def test_what_does_not_fit_is_refused(place, value, said):
    given = list(inputs((4, 2), 32, torch.float32, norm=True))
    given[place] = value
    with pytest.raises(ValueError, match=said):
        qk_norm_rope_cache(*given)


def launches() -> None:
    """Llama-3.1-8B, Qwen3-0.6B with its norms, and an odd head."""
    from kernels.qk_norm_rope_cache.triton import rotate_and_write

    shapes = [(32, 8, 128, torch.bfloat16, False), (16, 8, 128, torch.float16, True), (6, 3, 80, torch.float32, True)]
    for heads, kv_heads, dim, dtype, norm in shapes:
        qkv = torch.empty(4, (heads + 2 * kv_heads) * dim, dtype=dtype, device="meta")
        cache = torch.empty(64, 2 * kv_heads * dim, dtype=dtype, device="meta")
        index = torch.empty(4, dtype=torch.int64, device="meta")
        table = torch.empty(64, dim // 2, dtype=torch.complex64, device="meta")
        norms = torch.empty(heads + kv_heads, dim, dtype=dtype, device="meta") if norm else None
        rotate_and_write(qkv, cache, index, index, table, norms, 1e-6)


def test_compiles_for_every_chip():
    assert_builds(launches)
