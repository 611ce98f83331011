"""The operator `torch.ops.spectune.qk_norm_rope_cache`."""

import torch
from torch import Tensor

from kernels.qk_norm_rope_cache import reference


@torch.library.custom_op("spectune::qk_norm_rope_cache", mutates_args={"cache"})
def qk_norm_rope_cache(
    qkv: Tensor,
    cache: Tensor,
    places: Tensor,
    positions: Tensor,
    rotations: Tensor,
    norms: Tensor | None,
    eps: float,
) -> Tensor:
    """Rotated queries [rows, heads * D] of qkv; its keys and values go into the cache: see reference."""
    refuse_misfits(qkv, cache, rotations, norms)
    inputs = (qkv, cache, places, positions, rotations, norms, eps)
    if qkv.device.type == "cpu":
        return reference.rotate_and_write(*inputs)
    from kernels.qk_norm_rope_cache.triton import rotate_and_write

    return rotate_and_write(*inputs)


@qk_norm_rope_cache.register_fake
def _(
    qkv: Tensor,
    cache: Tensor,
    places: Tensor,
    positions: Tensor,
    rotations: Tensor,
    norms: Tensor | None,
    eps: float,
) -> Tensor:
    return qkv.new_empty((qkv.shape[0], qkv.shape[1] - cache.shape[1]))


def refuse_misfits(qkv: Tensor, cache: Tensor, rotations: Tensor, norms: Tensor | None) -> None:
    """What the kernel would read wrongly rather than fail on."""
    dim = 2 * rotations.shape[1]
    if qkv.dtype != cache.dtype or qkv.stride(1) != 1 or not cache.is_contiguous():
        raise ValueError("qkv and cache are of one dtype, the cache contiguous and the rows of qkv too")
    if rotations.dtype != torch.complex64 or not rotations.is_contiguous():
        raise ValueError(f"rotations are contiguous complex64, not {rotations.dtype}")
    if qkv.shape[1] % dim or cache.shape[1] % (2 * dim) or cache.shape[1] >= qkv.shape[1]:
        raise ValueError(f"rows of {qkv.shape[1]} and {cache.shape[1]} in the cache are not heads of {dim}")
    turned = (qkv.shape[1] - cache.shape[1] // 2) // dim
    if norms is not None and (norms.shape != (turned, dim) or not norms.is_contiguous()):
        raise ValueError(f"norms are [{turned}, {dim}], contiguous, not {list(norms.shape)}")
