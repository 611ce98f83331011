"""Plain torch: the specification of the kernel."""

import torch
from torch import Tensor

NUM_BITS = 64  # nodes that a word of a mask can speak of


def attend(
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
    """Attention of query [batch, q_len, heads, D] over cache [rows, 2 * kv_heads * D], keys then values of a row.

    table    [batch, blocks] where a sequence lies: its row i is the cache row table[i // block_len] * block_len +
             i % block_len. A slot is one block of slot_len rows.
    prefix   [batch] the rows that every query row sees: those up to the root of the tree, which is the last of them.
             Node i is row prefix + i.
    lengths  [batch] the valid query rows; the output of others is 0. A sequence with none may hold anything.
    masks    [batch, q_len] int64, bit i set where a query row sees node i; 0 for the root. [batch, q_len, 2] for up to
             128 nodes, the first 64 first. None: a chain, whose row j is node j - 1 and sees all before it.
    window   a row sees the positions after its own minus the window. Nodes seen are the path to a row, in order.
    """
    batch, q_len, heads, dim = query.shape
    seen = visible(table.shape[1] * block_len, q_len, prefix, lengths, masks, window)
    rows = (table.long()[:, :, None] * block_len + torch.arange(block_len, device=table.device)).flatten(1)
    used = seen.any(1).flip(1).cumsum(1).flip(1) > 0  # what lies beyond the last row seen was never written
    both = cache[rows.masked_fill(~used, 0)].float().masked_fill(~used[..., None], 0.0)
    keys, values = both.view(batch, rows.shape[1], 2, -1, dim).permute(2, 0, 3, 1, 4)
    group = heads // keys.shape[1]
    queries = query.float().transpose(1, 2).unflatten(1, (-1, group))
    scores = (queries @ keys[:, :, None].mT * scale).masked_fill(~seen[:, None, None], float("-inf"))
    weights = scores.softmax(-1).nan_to_num(0.0)
    return (weights @ values[:, :, None]).flatten(1, 2).transpose(1, 2).to(query.dtype).contiguous()


def visible(
    kv_len: int, q_len: int, prefix: Tensor, lengths: Tensor, masks: Tensor | None, window: int | None
) -> Tensor:
    """bool [batch, q_len, kv_len]: which rows of its sequence a query row sees."""
    row, key = torch.arange(q_len, device=prefix.device), torch.arange(kv_len, device=prefix.device)
    bits = torch.arange(NUM_BITS if masks is not None else max(q_len, 1), device=prefix.device)
    if masks is None:
        masks_seen = (row[:, None] > bits).expand(prefix.shape[0], -1, -1)
    else:
        masks_seen = ((masks.view(*masks.shape[:2], -1, 1) >> bits) & 1).bool().flatten(2)
    node = (key - prefix[:, None])[:, None].expand(-1, q_len, -1)
    near = node.clamp(0, masks_seen.shape[2] - 1)
    seen = (node < 0) | (masks_seen.gather(2, near) & (node < masks_seen.shape[2]))
    if window is not None:
        depths = masks_seen.long().cumsum(2)  # of a node: how many a row sees up to it
        positions = torch.where(node < 0, node, depths.gather(2, near) - 1)  # the root is at -1
        seen &= positions > depths[..., -1:] - 1 - window
    return seen & (row < lengths[:, None])[..., None]
