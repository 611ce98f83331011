"""Typical acceptance (Medusa): LOSSY. It accepts what is likely enough, so what it emits has not the target's law."""

from collections.abc import Sequence

import torch
from torch import Tensor

from engine.draft import Draft, Verification
from engine.sampler import Sampled
from engine.verify_tree import Walk, walk_trees


def verify_typical_lossy(
    draft: Draft, choices: Sequence[int], sampled: Sampled | None = None, epsilon: float = 0.09, alpha: float = 0.3
) -> Verification:
    """As `verify_tree`, but sampled requests keep the longest path of tokens that are typical under the target.

    Greedy requests stay exact.
    """

    def walk(tokens: Sequence[int], parents: Sequence[int], nodes: slice, p: Tensor) -> Walk:
        return typical_path_lossy(tokens, parents, p, epsilon, alpha), None

    return walk_trees(draft, choices, sampled, walk)


def typical_path_lossy(
    tokens: Sequence[int], parents: Sequence[int], p: Tensor, epsilon: float, alpha: float
) -> list[int]:
    """The longest path whose every token has p > min(epsilon, alpha * exp(-entropy of p)); the likeliest of several.

    p [1 + N, V] of the target, the root's row first.
    """
    above = [1 + parent for parent in parents]
    chances = p[above, list(tokens)]
    typical = (chances > _threshold(p[above], epsilon, alpha)).tolist()
    logs = chances.log().tolist()
    paths: dict[int, list[int]] = {-1: []}
    worths = {-1: (0, 0.0)}  # length, log-likelihood
    for node, parent in enumerate(parents):
        if typical[node] and parent in paths:
            paths[node] = [*paths[parent], node]
            worths[node] = (len(paths[node]), worths[parent][1] + logs[node])
    return paths[max(worths, key=worths.__getitem__)]


def _threshold(p: Tensor, epsilon: float, alpha: float) -> Tensor:
    """p [N, V] -> [N]; the 1e-5 is Medusa's."""
    entropy = -(p * (p + 1e-5).log()).sum(-1)
    return (alpha * torch.exp(-entropy)).clamp_max(epsilon)
