"""Randomness keyed by (seed, position, token) as 64-bit integer arithmetic on int64 tensors, which wraps.

key(seed, position, stream) = mix(mix(seed + stream * MIX_0) + (position + 1) * WEYL); the uniform of token t under a
key is made of the upper 53 bits of mix(key + (t + 1) * WEYL). mix is the finaliser of SplitMix64.
"""

import torch
from torch import Tensor

# Independent streams: the target's choice, a draft's sample, the coin that accepts it, and the seed of a step.
TARGET, DRAFT, COIN, STEP = range(4)
WEYL = 0x9E3779B97F4A7C15
MIX_0, MIX_1 = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


def signed(value: int) -> int:
    """The int64 with the same 64 bits."""
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >= 1 << 63 else value


def mix(value: Tensor) -> Tensor:
    """int64 of any shape."""
    value = (value ^ _shift(value, 30)) * signed(MIX_0)
    value = (value ^ _shift(value, 27)) * signed(MIX_1)
    return value ^ _shift(value, 31)


def key(seed: Tensor, position: Tensor, stream: int = TARGET) -> Tensor:
    """int64: the key of the token at `position` of a request with this seed."""
    return mix(mix(seed + signed(stream * MIX_0)) + (position + 1) * signed(WEYL))


def step_seed(seed: Tensor, length: Tensor) -> Tensor:
    """int64: the seed of what belongs to the step in which a request has `length` tokens."""
    return key(seed, length, STEP)


def uniform(bits: Tensor) -> Tensor:
    """float64 in (0, 1), never an end, from the upper 53 of 64 bits."""
    return (_shift(bits, 11).double() + 0.5) * 2.0**-53


def coin(seed: Tensor, position: Tensor, rank: Tensor) -> Tensor:
    """float64 in (0, 1): whether the draft at `position`, of this rank among its siblings, is accepted."""
    return uniform(mix(key(seed, position, COIN) + rank * signed(WEYL)))


def gumbel(keys: Tensor, vocab_size: int) -> Tensor:
    """keys [n] -> [n, vocab_size] float64 standard Gumbel noise, -log(-log u)."""
    tokens = torch.arange(1, vocab_size + 1, device=keys.device)
    return uniform(mix(keys[:, None] + tokens * signed(WEYL))).log_().neg_().log_().neg_()


def _shift(value: Tensor, bits: int) -> Tensor:
    """Logical right shift of int64: torch shifts arithmetically, so the copied sign bits are cleared."""
    return (value >> bits) & ((1 << (64 - bits)) - 1)
