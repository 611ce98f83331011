"""Start an EAGLE-3 layer with an induction head: look for an earlier place of the current token, say what followed it.

One layer is enough, for a pair shows two neighbours: the key at pair j is read from the target's features at j, which
still tell x_j; the value is the embedding of x_{j+1}; the query is the embedding of x_{i+1}. Where the features hold
x_j is found by least squares on a few batches (see engine/training/copying.py for why it is given and not learnt).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from engine.training.copying import SLOW
from engine.training.heads.block import Attention
from engine.training.lessons import Lesson

MATCH = 4.0  # of the attention to equal tokens
COPY = 2.0  # of what equal tokens write
RIDGE = 1e-3  # of the features' mean square


@torch.no_grad()
def prepare_lookup(
    fc: nn.Linear, attention: Attention, embeddings: Tensor, head: Tensor, slow: Tensor, batches: Sequence[Lesson]
) -> None:
    """Overwrite some rows of `fc` and one query head of some key-value heads; `slow` [m] dims that hardly rotate."""
    hidden, count = fc.out_features, len(slow)
    groups = min(attention.sizes.num_kv_heads, hidden // max(1, 2 * count))
    if not count or not groups:
        return
    features, ids = known_tokens(batches)
    unit = embeddings / embeddings.square().mean(-1, keepdim=True).sqrt().clamp(min=1e-6)
    basis = directions(unit)
    decoder = least_squares(features, unit[ids])
    fc.weight.div_(rms(features @ fc.weight.T)[:, None])
    for group in range(groups):
        rows = slice(group * count, (group + 1) * count)
        read = basis[:, rows].T @ decoder
        fc.weight[rows] = read / rms(features @ read.T)[:, None]
        point(attention, group, slow, rows, basis, least_squares(unit, head / head.square().mean().sqrt()))


def point(attention: Attention, group: int, slow: Tensor, rows: slice, basis: Tensor, writer: Tensor) -> None:
    """Key `group` reads `rows` of the fused features, its first query and its values the embedding."""
    sizes = attention.sizes
    dim, hidden = sizes.head_dim, sizes.hidden
    query = group * (sizes.num_heads // sizes.num_kv_heads)
    attention.k_proj.weight[group * dim + slow] = MATCH * torch.eye(2 * hidden, device=slow.device)[hidden:][rows]
    attention.q_proj.weight[query * dim + slow] = 0
    attention.q_proj.weight[query * dim + slow, :hidden] = MATCH * basis[:, rows].T
    values = basis[:, group * dim : (group + 1) * dim]
    attention.v_proj.weight[group * dim : (group + 1) * dim] = 0
    attention.v_proj.weight[group * dim : (group + 1) * dim, :hidden][: values.shape[1]] = values.T
    attention.o_proj.weight[:, query * dim : query * dim + values.shape[1]] = COPY * writer @ values


def known_tokens(batches: Sequence[Lesson]) -> tuple[Tensor, Tensor]:
    """Features [N, W] and the token [N] of their own position, paddings left out."""
    features, ids = [], []
    for batch in batches:
        assert batch.aux is not None
        real = torch.arange(batch.ids.shape[1], device=batch.ids.device) < batch.lengths[:, None]
        features.append(batch.aux[real].float())
        ids.append(batch.ids[real])
    return torch.cat(features), torch.cat(ids)


def directions(unit: Tensor) -> Tensor:
    """[H, H - 1] random orthonormal columns, none along the mean of all embeddings."""
    random = torch.randn(unit.shape[1], unit.shape[1])
    random[:, 0] = unit.mean(0).cpu()
    return torch.linalg.qr(random)[0][:, 1:].to(unit.device)


def least_squares(inputs: Tensor, outputs: Tensor) -> Tensor:
    """The matrix [out, in] that maps inputs [N, in] to outputs [N, out] best, with a small ridge."""
    gram = inputs.T @ inputs
    ridge = RIDGE * gram.diagonal().mean() * torch.eye(len(gram), device=gram.device)
    return torch.linalg.solve(gram + ridge, inputs.T @ outputs).T


def rms(values: Tensor) -> Tensor:
    """[N, W] -> [W]."""
    return values.square().mean(0).sqrt().clamp(min=1e-6)


def slow_dims(cos: Tensor, sin: Tensor) -> Tensor:
    """Dims of the pairs that turn by less than SLOW a position; cos and sin [positions, D / 2]."""
    pairs = (torch.atan2(sin[1], cos[1]).abs() < SLOW).nonzero()[:, 0]
    return torch.cat((pairs, pairs + cos.shape[1]))
