"""Randomness keyed by (seed, position, token): the same whatever the batch, the draft or the device.

A counter-based hash (the SplitMix64 finaliser) gives every candidate token its own uniform. Adding -log(-log u) to the
log-probabilities and taking the argmax samples from them (the Gumbel-max trick), so sampling, like greedy decoding, is
an argmax of scores.
"""

import torch
from torch import Tensor

_MASK = (1 << 64) - 1
_WEYL = 0x9E3779B97F4A7C15
_MIX = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
# Independent streams: the target's choice, a draft's sample, the coin that accepts it, and the seed of a step.
TARGET, DRAFT, COIN, STEP = range(4)


def key(seed: int, position: int, stream: int = TARGET) -> int:
    """A 64-bit key for the token at `position` of a request with this seed."""
    return _mix((_mix((seed + stream * _MIX[0]) & _MASK) + (position + 1) * _WEYL) & _MASK)


def step_seed(seed: int, length: int) -> int:
    """The seed of samples and coins that belong to the step in which a request has `length` tokens.

    A step looks at samples and coins beyond those it keeps; the next one drafts for the same positions again, and must
    do so with new randomness.
    """
    return key(seed, length, STEP)


def coin(seed: int, position: int, rank: int = 0) -> float:
    """A uniform number in (0, 1) that decides whether the draft at `position` is accepted.

    Siblings in a tree share a position and are told apart by their rank.
    """
    return ((_mix((key(seed, position, COIN) + rank * _WEYL) & _MASK) >> 11) + 0.5) * 2.0**-53


def gumbel(keys: list[int], vocab_size: int, device: torch.device) -> Tensor:
    """[len(keys), vocab_size] float64 standard Gumbel noise; a row depends on its key alone."""
    base = torch.tensor([_signed(k) for k in keys], dtype=torch.int64, device=device)[:, None]
    counter = torch.arange(1, vocab_size + 1, dtype=torch.int64, device=device) * _signed(_WEYL)
    bits = _shift(_mix_tensor(base + counter), 11)  # 53 of 64 bits
    uniform = (bits.double() + 0.5) * 2.0**-53  # in (0, 1), never an end
    return uniform.log_().neg_().log_().neg_()


def _mix(value: int) -> int:
    value = ((value ^ (value >> 30)) * _MIX[0]) & _MASK
    value = ((value ^ (value >> 27)) * _MIX[1]) & _MASK
    return value ^ (value >> 31)


def _mix_tensor(value: Tensor) -> Tensor:
    value = (value ^ _shift(value, 30)) * _signed(_MIX[0])
    value = (value ^ _shift(value, 27)) * _signed(_MIX[1])
    return value ^ _shift(value, 31)


def _shift(value: Tensor, bits: int) -> Tensor:
    """Logical right shift of int64: torch shifts arithmetically, so the copied sign bits are cleared."""
    return (value >> bits) & ((1 << (64 - bits)) - 1)


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value
