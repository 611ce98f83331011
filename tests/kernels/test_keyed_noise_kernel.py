"""The device's randomness: bits of the engine's hash, and how far the quick noise is from the exact one."""

import pytest
import torch
import triton
import triton.language as tl
from kernel_checks import DEVICE

from engine import noise
from kernels.keyed_noise import reference
from kernels.keyed_noise import triton as device

MASK = (1 << 64) - 1


@triton.jit
def _noise_of(seeds, positions, keys, steps, coins, gumbels, size: tl.constexpr):
    seed, position = tl.load(seeds).to(tl.uint64), tl.load(positions)
    own, token = device.key(seed, position, device.TARGET), tl.arange(0, size)
    step = device.key(seed, position, device.STEP)
    tl.store(keys, own.to(tl.int64))
    tl.store(steps, step.to(tl.int64))
    tl.store(coins, device.coin(step, position, position))
    tl.store(gumbels + token, device.gumbel(device.token_bits(own, token)))


@triton.jit
def _both(bits, exact, quick, size: tl.constexpr):
    at = tl.arange(0, size)
    one = tl.load(bits + at).to(tl.uint64)
    tl.store(exact + at, device.gumbel(one))
    tl.store(quick + at, device.quick_gumbel(one))


def of(value):
    return torch.tensor([value], device=DEVICE)


@pytest.mark.parametrize(("seed", "position"), [(0, 0), (-7, 5), ((1 << 62) + 12345, 131_071), (-(1 << 63), 63)])
def test_bits_are_the_engine_s(seed, position):
    keys, steps, coins = of(0), of(0), of(0.0).double()
    gumbels = torch.empty(512, dtype=torch.float64, device=DEVICE)
    _noise_of[(1,)](of(seed), of(position), keys, steps, coins, gumbels, 512)
    own, step = noise.key(seed & MASK, position), noise.step_seed(seed & MASK, position)
    assert [keys.item() & MASK, reference.key(of(seed), of(position)).item() & MASK] == [own, own]
    assert [steps.item() & MASK, reference.step_seed(of(seed), of(position)).item() & MASK] == [step, step]
    tossed = reference.coin(of(reference.signed(step)), of(position), of(position)).item()
    assert coins.item() == tossed == noise.coin(step, position, position)
    expected = noise.gumbel([own], 512, DEVICE)[0]
    assert torch.equal(reference.gumbel(keys, 512)[0], expected)
    torch.testing.assert_close(gumbels, expected, rtol=1e-14, atol=1e-14)


def test_quick_noise_is_within_its_bound():
    draw = torch.Generator().manual_seed(0)
    bits = torch.randint(-(1 << 62), 1 << 62, (1 << 15,), generator=draw) * 2
    near_ends = [reference.signed((1 << 64) - (1 << i)) for i in range(13, 64)]
    near_ends += [reference.signed((1 << 64) - (i << 11)) for i in range(3, 99, 2)] + [1 << i for i in range(63)]
    bits[: len(near_ends)] = torch.tensor(near_ends)
    exact, quick = torch.empty(1 << 15, dtype=torch.float64), torch.empty(1 << 15)
    exact, quick = exact.to(DEVICE), quick.to(DEVICE)
    _both[(1,)](bits.to(DEVICE), exact, quick, 1 << 15)
    assert exact.max() > 30
    assert exact.min() < -3
    assert (exact - quick).abs().max() < device.QUICK_ERROR.value / 4  # a GPU's logarithm is coarser than numpy's
