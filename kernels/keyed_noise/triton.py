"""The hash of reference.py on uint64 in registers, and Gumbel noise from it in two precisions.

Keys and bits equal the reference's. `gumbel` is float64. `quick_gumbel` is float32 with an error below QUICK_ERROR: it
finds the few tokens that can be the largest, and these are then scored in float64.
"""

import triton
import triton.language as tl

TARGET, DRAFT, COIN, STEP = (tl.constexpr(stream) for stream in range(4))
WEYL = tl.constexpr(0x9E3779B97F4A7C15)
MIX_0 = tl.constexpr(0xBF58476D1CE4E5B9)
MIX_1 = tl.constexpr(0x94D049BB133111EB)
QUICK_ERROR = tl.constexpr(2e-5)


@triton.jit
def mix(value):
    """uint64 of any shape."""
    value = (value ^ (value >> 30)) * MIX_0
    value = (value ^ (value >> 27)) * MIX_1
    return value ^ (value >> 31)


@triton.jit
def key(seed, position, stream: tl.constexpr):
    """seed uint64, position int64 -> uint64."""
    return mix(mix(seed + ((stream * MIX_0) & 0xFFFFFFFFFFFFFFFF)) + (position + 1).to(tl.uint64) * WEYL)


@triton.jit
def uniform(bits):
    """uint64 -> float64 in (0, 1), of the upper 53 bits."""
    return ((bits >> 11).to(tl.float64) + 0.5) * (2.0**-53)


@triton.jit
def coin(seed, position, rank):
    """seed uint64, position and rank int64 -> float64."""
    return uniform(mix(key(seed, position, COIN) + rank.to(tl.uint64) * WEYL))


@triton.jit
def token_bits(base, tokens):
    """Of a key (uint64) and tokens (any integer): 64 bits a token."""
    return mix(base + (tokens + 1).to(tl.uint64) * WEYL)


@triton.jit
def gumbel(bits):
    """float64 standard Gumbel noise."""
    return -tl.log(-tl.log(uniform(bits)))


@triton.jit
def quick_gumbel(bits):
    """float32 standard Gumbel noise.

    -log u has to be right relative to itself. Where u is near 1 it is a series in v = 1 - u, made of integers as the
    sum in `uniform` is rounded, to even; the terms left out are below v^5 / 6 of it, 2e-7 at v = 1/16.
    """
    upper = (bits >> 11).to(tl.int64)
    u = (upper.to(tl.float32) + 0.5) * (2.0**-53)
    v = tl.maximum((9007199254740992 - upper - (upper & 1)).to(tl.float32), 0.5) * (2.0**-53)
    series = v * (1.0 + v * (0.5 + v * (0.33333334 + v * (0.25 + v * 0.2))))
    return -tl.log(tl.where(v < 0.0625, series, -tl.log(u)))
