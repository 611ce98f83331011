"""The only pass over all logits: per row and part of the vocabulary the best token, and where asked the mass of exp."""

import triton
import triton.language as tl

from kernels.keyed_noise.triton import TARGET, gumbel, key, quick_gumbel, token_bits

TIE_ABSOLUTE = tl.constexpr(1e-4)  # above twice the error of a quick score: noise 2e-5, and four roundings of the rest
TIE_RELATIVE = tl.constexpr(1e-6)


@triton.jit
def choose_rows(
    logits, temperatures, seeds, positions, counts, best, best_at, peak, mass, num_rows, size,
    HAS_Q: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Program (row, part) -> best, best_at (its highest score and where), peak, mass: exp((x - peak) / T) summed."""
    row, part = tl.program_id(0), tl.program_id(1)
    sequence = row // num_rows
    if row % num_rows > tl.load(counts + sequence):
        return
    token = part * BLOCK + tl.arange(0, BLOCK)
    source = logits + row.to(tl.int64) * size
    x = tl.load(source + token, mask=token < size, other=float("-inf")).to(tl.float32)
    temperature = tl.load(temperatures + sequence)
    place = row * tl.num_programs(1) + part
    if temperature == 0:
        highest = tl.max(x, 0)
        at = tl.minimum(tl.min(tl.where(x == highest, token, size), 0), size - 1)
        tl.store(best + place, tl.where(highest == highest, highest, float("-inf")))
        tl.store(best_at + place, at)
    else:
        base = key(tl.load(seeds + sequence).to(tl.uint64), tl.load(positions + row), TARGET)
        quick = x / temperature.to(tl.float32) + quick_gumbel(token_bits(base, token))
        highest, at = exact_choice(quick, token, source, temperature, base, size)
        tl.store(best + place, highest)
        tl.store(best_at + place, at)
        if HAS_Q:
            top = tl.max(x, 0)
            top = tl.where(top == float("-inf"), 0.0, top)
            tl.store(peak + place, top)
            tl.store(mass + place, tl.sum(tl.exp((x - top) / temperature.to(tl.float32)), 0))


@triton.jit
def exact_choice(quick, token, source, temperature, base, size):
    """The highest score and its token: those whose quick score is near the highest are scored in float64.

    Scores are rounded to float32 and the first of equals wins, as in the reference. Hardly ever is more than one near.
    """
    highest = tl.max(quick, 0)
    near = quick >= highest - (TIE_ABSOLUTE + TIE_RELATIVE * tl.abs(highest))
    near = near & (quick > float("-inf"))
    best, at = float("-inf"), tl.min(token, 0)
    while tl.max(near.to(tl.int32), 0) > 0:
        one = tl.min(tl.where(near, token, size), 0)
        x = tl.load(source + one).to(tl.float64)
        exact = (x / temperature + gumbel(token_bits(base, one))).to(tl.float32)
        at = tl.where(exact > best, one, at)
        best = tl.maximum(exact, best)
        near = near & (token != one)
    return best, at


@triton.jit
def chosen(best, best_at, row, parts, is_asked, PARTS: tl.constexpr):
    """The token chosen at a row, from its parts; int64."""
    part = tl.arange(0, PARTS)
    mask = (part < parts) & is_asked
    score = tl.load(best + row * parts + part, mask=mask, other=float("-inf"))
    at = tl.load(best_at + row * parts + part, mask=mask, other=2147483647)
    return tl.min(tl.where(score == tl.max(score, 0), at, 2147483647), 0).to(tl.int64)
