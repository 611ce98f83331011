"""Plain torch: the specification of the kernel."""

import torch
from torch import Tensor
from torch.nn.functional import rms_norm


def rotate_and_write(
    qkv: Tensor,
    cache: Tensor,
    places: Tensor,
    positions: Tensor,
    rotations: Tensor,
    norms: Tensor | None,
    eps: float,
) -> Tensor:
    """qkv [rows, (heads + 2 * kv_heads) * D] -> rotated queries [rows, heads * D]; keys and values go into the cache.

    cache      [cache rows, 2 * kv_heads * D]; row i of the step becomes the row places[i]. Below 0 it is not written.
    rotations  [positions, D/2] complex64; neighbours of a head are a pair. Row i is turned by rotations[positions[i]].
    norms      [heads + kv_heads, D] weights of the RMSNorm of every query and key head, before the rotation; None: no
               norm. Its result is rounded to the dtype, and again after the weight.
    """
    dim = 2 * rotations.shape[1]
    kv_width = cache.shape[1] // 2
    turned = qkv[:, : qkv.shape[1] - kv_width].unflatten(1, (-1, dim))
    if norms is not None:
        turned = rms_norm(turned, (dim,), None, eps) * norms
    pairs = torch.view_as_complex(turned.float().unflatten(2, (-1, 2)).contiguous())
    rotated = torch.view_as_real(pairs * rotations[positions][:, None]).flatten(1).to(qkv.dtype)
    queries, keys = rotated.split([qkv.shape[1] - 2 * kv_width, kv_width], 1)
    written = places >= 0
    cache[places[written]] = torch.cat([keys, qkv[:, -kv_width:]], 1)[written]
    return queries.contiguous()
