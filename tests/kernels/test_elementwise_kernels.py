"""RMSNorm and the gated product: the kernels against their references, and these against the engine's layers."""

import pytest
import torch
from kernel_checks import DEVICE, DTYPES, assert_builds, assert_same, random

from kernels.rms_norm import reference as norm_reference
from kernels.rms_norm.op import add_rms_norm, rms_norm
from kernels.silu_and_mul import reference as gate_reference
from kernels.silu_and_mul.op import silu_and_mul

SHAPES = [(1, 1), (3, 7), (5, 64), (2, 1030), (4, 2048)]


def padded_rows(rows, width, dtype, seed):
    """Rows that lie further apart than they are wide; NaN between them."""
    whole = torch.full((rows, width + 5), float("nan"), dtype=dtype, device=DEVICE)
    whole[:, :width] = random(rows, width, dtype=dtype, seed=seed)
    return whole[:, :width]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("rows", "width"), SHAPES)
def test_norms_equal_the_reference(rows, width, dtype):
    from kernels.rms_norm import triton

    x, residual, weight = (padded_rows(n, width, dtype, seed) for seed, n in enumerate((rows, rows, 1)))
    weight = weight[0].contiguous()
    assert_same(triton.rms_norm(x, weight, 1e-6), norm_reference.rms_norm(x, weight, 1e-6))
    normed, total = triton.add_rms_norm(x, residual, weight, 1e-5)
    expected = norm_reference.add_rms_norm(x, residual, weight, 1e-5)
    assert_same(normed, expected[0])
    assert torch.equal(total, expected[1])


def test_the_sum_is_rounded_before_it_is_normed():
    """2048 + 1 is 2048 in float16; the norm of the other column tells which of the two was its neighbour."""
    from kernels.rms_norm import triton

    x, residual, weight = (torch.tensor(v, device=DEVICE).half() for v in ([[1, 1]], [[2048, 0]], [1, 2882]))
    expected = norm_reference.add_rms_norm(x, residual, weight, 0.0)
    assert expected[0][0, 1] > 2882 / (2049**2 / 2 + 0.5) ** 0.5
    assert torch.equal(triton.add_rms_norm(x, residual, weight, 0.0)[0], expected[0])


def test_a_row_of_zeros_is_held_up_by_eps():
    from kernels.rms_norm import triton

    zeros = torch.zeros(2, 33, device=DEVICE)
    assert torch.equal(triton.rms_norm(zeros, zeros[0] + 1.0, 1e-6), zeros)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("rows", "width"), SHAPES)
def test_gate_equals_the_reference(rows, width, dtype):
    from kernels.silu_and_mul import triton

    given = padded_rows(rows, 2 * width, dtype, 0) * 4
    assert_same(triton.silu_and_mul(given), gate_reference.silu_and_mul(given))


def test_gates_far_from_zero():
    from kernels.silu_and_mul import triton

    given = torch.tensor([[-1e4, -90.0, 90.0, 1e4, 2.0, 2.0, 2.0, 2.0]], device=DEVICE)
    assert triton.silu_and_mul(given).tolist() == [[0.0, 0.0, 180.0, 2e4]]


@pytest.mark.parametrize("dtype", DTYPES)
def test_references_are_what_a_layer_of_the_engine_does(dtype):
    from engine.models.layers import build_norm

    x, residual, weight = (random(6, 40, dtype=dtype, seed=seed) for seed in range(3))
    normed, total = norm_reference.add_rms_norm(x, residual, weight[0], 1e-5)
    kept = residual.clone().add_(x)
    assert torch.equal(total, kept)
    assert_same(normed, build_norm(weight[0], 1e-5)(kept))
    gated = torch.nn.functional.silu(x[:, :20]).mul_(x[:, 20:])
    assert torch.equal(gate_reference.silu_and_mul(x), gated)


def test_operators_pass_torch_s_own_checks():
    x, residual, weight = (random(3, 10, dtype=torch.float32, seed=seed) for seed in range(3))
    torch.library.opcheck(rms_norm, (x, weight[0], 1e-6))
    torch.library.opcheck(add_rms_norm, (x, residual, weight[0], 1e-6))
    torch.library.opcheck(silu_and_mul, (x,))


def launches() -> None:
    from kernels.rms_norm import triton as norm
    from kernels.silu_and_mul import triton as gate

    for dtype in DTYPES:
        for width in (896, 16384):
            x = torch.empty(4, width, dtype=dtype, device="meta")
            norm.rms_norm(x, x[0], 1e-5)
            norm.add_rms_norm(x, x, x[0], 1e-5)
        gate.silu_and_mul(torch.empty(4, 28672, dtype=dtype, device="meta"))


def test_compiles_for_every_chip():
    assert_builds(launches)
