"""The launcher. Without q two launches: choose_rows reads the logits, descend walks; with q four."""

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.verify.reference import Accepted
from kernels.verify.triton_rejection import draw_rest, emit_drawn, reject
from kernels.verify.triton_rows import choose_rows, chosen

BLOCK = 4096  # tokens of a program: 16 a thread


def verify(
    logits: Tensor,
    tokens: Tensor,
    parents: Tensor,
    counts: Tensor,
    temperatures: Tensor,
    seeds: Tensor,
    positions: Tensor,
    max_depth: int,
    q: Tensor | None = None,
    block: int = BLOCK,
) -> Accepted:
    """See reference.verify. All tensors are contiguous."""
    batch, num_rows, size = logits.shape
    parts = triton.cdiv(size, block)
    new, device = torch.empty, logits.device
    best = new((batch * num_rows, parts), dtype=torch.float32, device=device)
    best_at = new(best.shape, dtype=torch.int32, device=device)
    peak, mass = (new(best.shape if q is not None else 0, dtype=torch.float32, device=device) for _ in range(2))
    choose_rows[(batch * num_rows, parts)](
        logits, temperatures, seeds, positions, counts, best, best_at, peak, mass, num_rows, size,
        HAS_Q=q is not None, BLOCK=block, num_warps=8,
    )  # fmt: skip
    out = Accepted(*(new(shape, dtype=torch.int64, device=device) for shape in shapes(batch, max_depth)))
    nodes, padded_parts = triton.next_power_of_2(max(num_rows - 1, 1)), triton.next_power_of_2(parts)
    walk = (tokens, parents, counts, best, best_at, *out, num_rows - 1, parts)
    if q is None:
        descend[(batch,)](*walk, max_depth=max_depth, NODES=nodes, PARTS=padded_parts, num_warps=1)
        return out
    weights = new((batch, num_rows - 1), dtype=torch.float64, device=device)
    ends = new((batch, 4), dtype=torch.int64, device=device)
    laws = new((batch, 2), dtype=torch.float64, device=device)
    scores = new((batch, 2, parts), dtype=torch.float64, device=device)
    scored = new(scores.shape, dtype=torch.int32, device=device)
    request = (temperatures, seeds, positions)
    reject[(batch,)](
        *walk, logits, q, *request, peak, mass, weights, ends, laws, size,
        max_depth=max_depth, NODES=nodes, PARTS=padded_parts, BLOCK=min(block, 2048), num_warps=8,
    )  # fmt: skip
    draw_rest[(batch, parts)](
        logits, q, *request, parents, weights, ends, laws, scores, scored, num_rows - 1, size,
        NODES=nodes, BLOCK=block, num_warps=8,
    )  # fmt: skip
    emit_drawn[(batch,)](ends, scores, scored, out.emitted, max_depth, parts, PARTS=padded_parts, num_warps=1)
    return out


def shapes(batch: int, max_depth: int) -> tuple[tuple[int, ...], ...]:
    """Of paths, emitted and num_accepted."""
    return (batch, max_depth), (batch, max_depth + 1), (batch,)


@triton.jit
def descend(
    tokens, parents, counts, best, best_at, paths, emitted, num_accepted, num_nodes, parts,
    max_depth: tl.constexpr, NODES: tl.constexpr, PARTS: tl.constexpr,
):  # fmt: skip
    """Program b: from the root to the child that the target chose, until there is none. The last choice is emitted."""
    sequence = tl.program_id(0).to(tl.int64)
    count = tl.load(counts + sequence).to(tl.int32)
    node = tl.arange(0, NODES)
    token = tl.load(tokens + sequence * num_nodes + node, mask=node < count, other=-1)
    parent = tl.load(parents + sequence * num_nodes + node, mask=node < count, other=-2)
    first_row = sequence * (num_nodes + 1)
    goes_on = count >= 0
    choice = chosen(best, best_at, first_row, parts, goes_on, PARTS)
    at, accepted = -1, tl.where(goes_on, 0, -1)
    for depth in range(max_depth):
        is_next = (parent == at) & (token == choice) & goes_on
        child = tl.min(tl.where(is_next, node, NODES), 0)
        tl.store(emitted + sequence * (max_depth + 1) + depth, tl.where(goes_on, choice, -1))
        goes_on = child < NODES
        tl.store(paths + sequence * max_depth + depth, tl.where(goes_on, child, -1))
        if goes_on:
            at = child
            accepted += 1
            choice = chosen(best, best_at, first_row + 1 + at, parts, goes_on, PARTS)
    tl.store(emitted + sequence * (max_depth + 1) + max_depth, tl.where(goes_on, choice, -1))
    tl.store(num_accepted + sequence, accepted)
