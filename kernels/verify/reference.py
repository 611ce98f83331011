"""Plain torch: the specification of the kernels. One sequence after another, in float64.

Shapes: B sequences of up to N draft nodes, V tokens. Row 0 of a sequence is its root's, row 1 + i that of node i.

logits        [B, 1 + N, V]  what a request filters out is -inf; not divided by the temperature
tokens        [B, N]  of the nodes; siblings in the order in which they are to be tried
parents       [B, N]  -1 is the root; parents come before their children
counts        [B]  nodes of a sequence; -1: there is no such sequence. What lies beyond is not looked at
temperatures  [B] float64; 0 is greedy
seeds         [B] int64
positions     [B, 1 + N]  the index of the token that is to be chosen at a row; of the root: how many tokens there are
q             [B, N, V]  what each node was drawn from, given the siblings before it; None: the drafts are one-hot

Out come, as int64 padded with -1: paths [B, D] of accepted nodes, emitted [B, D + 1] tokens (the accepted ones and one
more), and num_accepted [B], -1 where there is no sequence. D is max_depth: a walk ends there at the latest.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from kernels.keyed_noise import reference as noise


class Accepted(NamedTuple):
    """See above."""

    paths: Tensor
    emitted: Tensor
    num_accepted: Tensor


class Node(NamedTuple):
    """A node of one sequence: its number, its parent's, its token."""

    number: int
    parent: int
    token: int


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
) -> Accepted:
    """Sampled sequences with a q go through rejection sampling, the others follow the target's own choices."""
    batch = len(counts)
    paths = torch.full((batch, max_depth), -1, dtype=torch.int64, device=counts.device)
    emitted = torch.full((batch, max_depth + 1), -1, dtype=torch.int64, device=counts.device)
    num_accepted = torch.full((batch,), -1, dtype=torch.int64, device=counts.device)
    for b, count in enumerate(counts.tolist()):
        if count < 0:
            continue
        pairs = zip(parents[b, :count].tolist(), tokens[b, :count].tolist(), strict=True)
        nodes = [Node(i, parent, token) for i, (parent, token) in enumerate(pairs)]
        scaled, scores = score(logits[b, : 1 + count], temperatures[b], seeds[b], positions[b, : 1 + count])
        if q is None or temperatures[b] == 0:
            path, last = descend(nodes, scores.argmax(-1).tolist(), max_depth)
        else:
            coins = _coins(nodes, seeds[b], positions[b])
            path, rest = reject(nodes, scaled.softmax(-1), q[b].double(), coins, max_depth)
            end = 1 + path[-1] if path else 0
            drawn = scores[end] if rest is None else rest.log() + _noise(seeds[b], positions[b, end], len(rest))
            last = int(drawn.argmax())
        found = [*(nodes[node].token for node in path), last]
        paths[b, : len(path)] = paths.new_tensor(path)
        emitted[b, : len(found)] = emitted.new_tensor(found)
        num_accepted[b] = len(path)
    return Accepted(paths, emitted, num_accepted)


def score(logits: Tensor, temperature: Tensor, seed: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
    """logits [R, V] -> scaled [R, V] float64, and float32 scores whose argmax is the target's choice."""
    if temperature == 0:
        return logits, logits.float()
    scaled = logits.double() / temperature
    return scaled, (scaled + noise.gumbel(noise.key(seed, positions), logits.shape[1])).float()


def descend(nodes: list[Node], choices: list[int], max_depth: int) -> tuple[list[int], int]:
    """From the root, again and again to the child that the target chose there; and the choice at the end."""
    path: list[int] = []
    at = -1
    for node in nodes:
        if node.parent == at and node.token == choices[1 + at] and len(path) < max_depth:
            at = node.number
            path.append(at)
    return path, choices[1 + at]


def reject(
    nodes: list[Node], p: Tensor, q: Tensor, coins: list[float], max_depth: int
) -> tuple[list[int], Tensor | None]:
    """Try the children of a node in turn against p / q; what is left after a rejection is max(p - q, 0), normalised.

    Returns the accepted nodes and the law [V] of the token after them; None: the target's own, as nothing was rejected.
    """
    path: list[int] = []
    at, left, rejected = -1, p[0], False
    for node in nodes:
        if node.parent != at or len(path) == max_depth:
            continue
        ours, drafts = left[node.token], q[node.number, node.token]
        if drafts > 0 and coins[node.number] < ours / drafts:
            at, left, rejected = node.number, p[1 + node.number], False
            path.append(at)
        else:
            rest = (left - q[node.number]).clamp_min(0.0)
            left, rejected = (rest / rest.sum() if rest.sum() > 0 else left), True
    return path, left if rejected else None


def _coins(nodes: list[Node], seed: Tensor, positions: Tensor) -> list[float]:
    """Keyed by the step, the position of the node's token and its rank among its siblings."""
    parents = [node.parent for node in nodes]
    ranks = positions.new_tensor([parents[:i].count(parent) for i, parent in enumerate(parents)])
    here = positions[positions.new_tensor([1 + parent for parent in parents])]
    return noise.coin(noise.step_seed(seed, positions[0]), here, ranks).tolist()


def _noise(seed: Tensor, position: Tensor, vocab_size: int) -> Tensor:
    """[V]."""
    return noise.gumbel(noise.key(seed, position)[None], vocab_size)[0]
