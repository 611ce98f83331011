"""A program takes some heads of a row, whichever they are: queries, keys and values differ by masks alone."""

import torch
import triton
import triton.language as tl
from torch import Tensor

TILE = 2048  # elements of a program


def rotate_and_write(
    qkv: Tensor,
    cache: Tensor,
    places: Tensor,
    positions: Tensor,
    rotations: Tensor,
    norms: Tensor | None,
    eps: float,
) -> Tensor:
    """See reference.rotate_and_write."""
    rows, dim = qkv.shape[0], 2 * rotations.shape[1]
    kv_heads = cache.shape[1] // (2 * dim)
    heads = qkv.shape[1] // dim - 2 * kv_heads
    block_d = triton.next_power_of_2(dim)
    block_h = min(max(TILE // block_d, 1), triton.next_power_of_2(heads + 2 * kv_heads))
    queries = torch.empty((rows, heads * dim), dtype=qkv.dtype, device=qkv.device)
    grid = (rows, triton.cdiv(heads + 2 * kv_heads, block_h))
    _rotate_and_write[grid](
        qkv, cache, places.contiguous(), positions.contiguous(), torch.view_as_real(rotations), norms, queries,
        qkv.stride(0), eps,
        HEADS=heads, KV_HEADS=kv_heads, D=dim, BLOCK_H=block_h, BLOCK_D=block_d, HAS_NORM=norms is not None,
        num_warps=4,
    )  # fmt: skip
    return queries


@triton.jit
def _rotate_and_write(
    qkv, cache, places, positions, rotations, norms, queries, stride, eps,
    HEADS: tl.constexpr, KV_HEADS: tl.constexpr, D: tl.constexpr,
    BLOCK_H: tl.constexpr, BLOCK_D: tl.constexpr, HAS_NORM: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    place = tl.load(places + row).to(tl.int64)
    position = tl.load(positions + row).to(tl.int64)
    head = tl.program_id(1) * BLOCK_H + tl.arange(0, BLOCK_H)
    d = tl.arange(0, BLOCK_D)
    is_in = (head < HEADS + 2 * KV_HEADS)[:, None] & (d < D)[None, :]
    is_turned = (head < HEADS + KV_HEADS)[:, None]
    offsets = head[:, None] * D + d[None, :]
    given = tl.load(qkv + row * stride + offsets, mask=is_in, other=0.0)
    x = given.to(tl.float32)
    if HAS_NORM:
        weight = tl.load(norms + offsets, mask=is_in & is_turned, other=0.0).to(tl.float32)
        scale = tl.rsqrt(tl.sum(x * x, 1) / D + eps)
        normed = (x * scale[:, None]).to(given.dtype).to(tl.float32)
        x = (normed * weight).to(given.dtype).to(tl.float32)
    turn = tl.load(rotations + position * D + d, mask=d < D, other=0.0)
    cos, sin = tl.split(tl.reshape(turn, [BLOCK_D // 2, 2]))
    real, imaginary = tl.split(tl.reshape(x, [BLOCK_H, BLOCK_D // 2, 2]))
    turned_real = real * cos[None, :] - imaginary * sin[None, :]
    turned_imaginary = real * sin[None, :] + imaginary * cos[None, :]
    turned = tl.reshape(tl.join(turned_real, turned_imaginary), [BLOCK_H, BLOCK_D]).to(given.dtype)
    is_query = (head < HEADS)[:, None]
    tl.store(queries + row * (HEADS * D) + offsets, turned, mask=is_in & is_query)
    kept = tl.where(is_turned, turned, given)
    goal = cache + place * (2 * KV_HEADS * D) - HEADS * D
    tl.store(goal + offsets, kept, mask=is_in & (head >= HEADS)[:, None] & (place >= 0))
