"""Products of 8-bit and 4-bit weights: the kernels against their references, over shapes that fill no block."""

import pytest
import torch
from kernel_checks import DEVICE, DTYPES, assert_builds, assert_same, random

from kernels.quantized_linear import reference
from kernels.quantized_linear.op import int4_linear, quantized_linear

SHAPES = [(1, 16, 32), (3, 33, 96), (17, 20, 160), (70, 50, 128)]  # rows, outputs, inputs


def eight_bits(outputs, width, kind, seed=0):
    """Weights of all magnitudes that the dtype has."""
    values = random(outputs, width, dtype=torch.float32, seed=seed) * 40
    return values.clamp(-127, 127).round().to(torch.int8) if kind == "int8" else values.to(torch.float8_e4m3fn)


def four_bits(outputs, width, group, dtype):
    generator = torch.Generator().manual_seed(1)
    packed = torch.randint(0, 256, (outputs, width // 2), generator=generator, dtype=torch.uint8)
    zeros = torch.randint(0, 16, (outputs, width // group), generator=generator, dtype=torch.uint8)
    scales = random(outputs, width // group, dtype=torch.float32, seed=2).abs() / 40
    return packed.to(DEVICE), scales.to(dtype), zeros.to(DEVICE)


def rows_apart(rows, width, dtype):
    """Rows further apart than they are wide; NaN between them."""
    whole = torch.full((rows, width + 8), float("nan"), dtype=dtype, device=DEVICE)
    whole[:, :width] = random(rows, width, dtype=dtype, seed=3) / 8
    return whole[:, :width]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["int8", "fp8"])
@pytest.mark.parametrize(("rows", "outputs", "width"), SHAPES)
def test_eight_bits_equal_the_reference(rows, outputs, width, kind, dtype):
    from kernels.quantized_linear import triton

    x, weight = rows_apart(rows, width, dtype), eight_bits(outputs, width, kind)
    scales = random(outputs, dtype=torch.float32, seed=4) / 100
    for bias in (None, random(outputs, dtype=dtype, seed=5)):
        assert_same(
            triton.quantized_linear(x, weight, scales, bias), reference.quantized_linear(x, weight, scales, bias)
        )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("group", [32, 64, 128])
@pytest.mark.parametrize(("rows", "outputs"), [(1, 16), (3, 33), (70, 20)])
def test_four_bits_equal_the_reference(rows, outputs, group, dtype):
    from kernels.quantized_linear import triton

    x, stored = rows_apart(rows, 2 * group, dtype), four_bits(outputs, 2 * group, group, dtype)
    for bias in (None, random(outputs, dtype=dtype, seed=5)):
        assert_same(triton.int4_linear(x, *stored, bias), reference.int4_linear(x, *stored, bias))


def test_no_rows_are_no_launch():
    """A draft that takes in a prompt asks its head for nothing."""
    from kernels.quantized_linear import triton

    x, stored = torch.empty(0, 32, device=DEVICE), four_bits(16, 32, 32, torch.float32)
    assert triton.quantized_linear(x, eight_bits(16, 32, "int8"), stored[1][:, 0], None).shape == (0, 16)
    assert triton.int4_linear(x, *stored, None).shape == (0, 16)


def test_a_group_s_first_half_is_in_the_low_bits():
    packed, zeros = torch.tensor([[0x10, 0xF2]], dtype=torch.uint8), torch.tensor([[1, 8]], dtype=torch.uint8)
    expanded = reference.expand_int4(packed, torch.tensor([[0.5, 2.0]]), zeros)
    assert expanded.tolist() == [[-0.5, 0.0, -12.0, 14.0]]
    together = reference.expand_int4(packed, torch.tensor([[1.0]]), torch.tensor([[0]], dtype=torch.uint8))
    assert together.tolist() == [[0.0, 2.0, 1.0, 15.0]]
    codes = torch.arange(128, dtype=torch.uint8).view(2, 64) % 16
    assert torch.equal(reference.unpack_int4(reference.pack_int4(codes, 32), 2), codes)


def test_the_operators_take_the_reference_here_and_expand_for_many_rows():
    x, weight, scales = random(3, 32, dtype=torch.float32), eight_bits(8, 32, "int8"), torch.full((8,), 0.01)
    assert torch.equal(quantized_linear(x, weight, scales, None), reference.quantized_linear(x, weight, scales, None))
    stored = four_bits(8, 32, 32, torch.float32)
    assert torch.equal(int4_linear(x, *stored, None), reference.int4_linear(x, *stored, None))
    torch.library.opcheck(quantized_linear, (x, weight, scales, None))
    torch.library.opcheck(int4_linear, (x, *stored, scales))


def launch(weight_dtype):
    """What a step of one and of 64 rows launches."""
    from kernels.quantized_linear import triton

    for rows in (1, 64):
        x = torch.empty(rows, 4096, dtype=torch.bfloat16, device="meta")
        weight = torch.empty(4096, 4096, dtype=weight_dtype, device="meta")
        triton.quantized_linear(x, weight, torch.empty(4096, device="meta"), x[0])


def launch_integers():
    from kernels.quantized_linear import triton

    launch(torch.int8)
    packed = torch.empty(4096, 2048, dtype=torch.uint8, device="meta")
    for rows, group, dtype in ((1, 64, torch.bfloat16), (64, 64, torch.bfloat16), (16, 128, torch.float16)):
        scales = torch.empty(4096, 4096 // group, dtype=dtype, device="meta")
        zeros = torch.empty(4096, 4096 // group, dtype=torch.uint8, device="meta")
        triton.int4_linear(torch.empty(rows, 4096, dtype=dtype, device="meta"), packed, scales, zeros, None)


def launch_floats():
    launch(torch.float8_e4m3fn)


def test_integers_compile_for_every_chip_and_e4m3_where_it_exists():
    assert_builds(launch_integers)
    assert_builds(launch_floats, (90, 100))
