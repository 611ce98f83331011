"""The operator `torch.ops.spectune.tree_attention`."""

import torch
from torch import Tensor

from kernels.tree_attention import reference


@torch.library.custom_op("spectune::tree_attention", mutates_args=())
def tree_attention(
    query: Tensor,
    cache: Tensor,
    table: Tensor,
    prefix: Tensor,
    lengths: Tensor,
    masks: Tensor | None,
    scale: float,
    block_len: int,
    window: int | None = None,
) -> Tensor:
    """Attention of query [batch, q_len, heads, D] over the cache, [batch, q_len, heads, D]: see reference.attend."""
    refuse_misfits(query, cache, table, masks, block_len)
    inputs = (query, cache, table, prefix, lengths, masks, scale, block_len, window)
    if query.device.type == "cpu":
        return reference.attend(*inputs)
    from kernels.tree_attention.triton import attend

    return attend(*inputs)


@tree_attention.register_fake
def _(
    query: Tensor,
    cache: Tensor,
    table: Tensor,
    prefix: Tensor,
    lengths: Tensor,
    masks: Tensor | None,
    scale: float,
    block_len: int,
    window: int | None = None,
) -> Tensor:
    return query.new_empty(query.shape)


def refuse_misfits(query: Tensor, cache: Tensor, table: Tensor, masks: Tensor | None, block_len: int) -> None:
    """What the kernel would read wrongly rather than fail on."""
    heads, dim = query.shape[2:]
    if query.stride(3) != 1 or not cache.is_contiguous() or query.dtype != cache.dtype:
        raise ValueError("query and cache are of one dtype, the cache contiguous and a query's head too")
    if cache.shape[1] % (2 * dim) or heads % (cache.shape[1] // (2 * dim)):
        raise ValueError(f"{heads} heads of {dim} do not fit cache rows of {cache.shape[1]}")
    if table.dim() != 2 or (table.shape[1] > 1 and block_len & (block_len - 1)):
        raise ValueError(f"a table is [batch, blocks], of blocks of a power of two: not {table.dim()}-d of {block_len}")
    if masks is not None and (masks.dtype != torch.int64 or masks.shape[:2] != query.shape[:2] or masks.dim() > 3):
        raise ValueError(f"masks are int64 [batch, q_len] or [batch, q_len, 2]: not {masks.dtype} {list(masks.shape)}")
    if masks is not None and masks.dim() == 3 and masks.shape[2] not in (1, 2):
        raise ValueError(f"a mask has one or two words of {reference.NUM_BITS} nodes, not {masks.shape[2]}")
