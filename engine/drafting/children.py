"""How the children of draft nodes are picked from the draft's logits: `sampling.pick` for trees.

greedy         the k likeliest tokens; verified by descending to the one the target chooses
probabilistic  k draws from q without replacement; what each was drawn from is kept for rejection sampling
coupled        the same draws with the target's own noise, and nothing kept: the target's choice is often among them

The k tokens of largest log q + Gumbel noise, from the largest down, are k draws without replacement in their order
(Vieira 2014, Kool et al. 2019). The noise is keyed by (seed, step, position), so nodes of one sequence at one depth
share it: only one of them comes to lie on the accepted path, and its children alone decide.
"""

from collections.abc import Sequence as Sequences
from typing import NamedTuple

import torch
from torch import Tensor

from engine import noise, sampler
from engine.drafting.sampling import noise_keys
from engine.sequence import Sequence


class Children(NamedTuple):
    """tokens [R, k] in the order in which they are to be tried; probs [R, k, V] float64 what each was drawn from, or
    None where one-hot verification is right. A row of zeros: q has no further token, so this child was not drawn."""

    tokens: Tensor
    probs: Tensor | None


def pick_children(method: str, logits: Tensor, owners: Sequences[Sequence], depth: int, num_children: int) -> Children:
    """logits [R, V] of nodes at `depth` (0 is the root), each of the sequence owners[r] -> k children a node."""
    if num_children > logits.shape[1]:
        return _padded(pick_children(method, logits, owners, depth, logits.shape[1]), num_children)
    tokens = logits.topk(num_children).indices
    sampled = [i for i, owner in enumerate(owners) if not owner.params.is_greedy]
    if method == "greedy" or not sampled:
        return Children(tokens, None)
    drawing, index = [owners[i] for i in sampled], torch.tensor(sampled, device=logits.device)
    filtered = sampler.filtered(logits[index].double(), [owner.params for owner in drawing])
    keys = noise_keys(method, drawing, depth)
    tokens[index] = draw_without_replacement(filtered, _gumbel(keys, logits), num_children)
    if method == "coupled":
        return Children(tokens, None)
    probs = torch.zeros((*tokens.shape, logits.shape[1]), dtype=torch.float64, device=logits.device)
    probs[index] = drawn_from(filtered, tokens[index])  # greedy requests are verified by equality
    return Children(tokens, probs)


def _padded(children: Children, num_children: int) -> Children:
    """More children than the vocabulary has tokens: the last ones are never accepted, like those not drawn."""
    missing = num_children - children.tokens.shape[1]
    again = children.tokens[:, :1].expand(-1, missing)  # of two siblings with one token the first is met
    probs = children.probs
    if probs is not None:
        probs = torch.cat([probs, torch.zeros_like(probs[:, :1]).expand(-1, missing, -1)], 1)
    return Children(torch.cat([children.tokens, again], 1), probs)


def draw_without_replacement(log_q: Tensor, gumbel: Tensor, num_draws: int) -> Tensor:
    """log_q [R, V] up to a constant, standard Gumbel noise [R, V] -> tokens [R, num_draws], num_draws <= V."""
    return (log_q + gumbel).topk(num_draws).indices


def drawn_from(log_q: Tensor, tokens: Tensor) -> Tensor:
    """[R, k, V] the distribution of each draw given those before it: q without their tokens, normalised."""
    drawn = torch.zeros((*tokens.shape, log_q.shape[1]), dtype=torch.int64, device=log_q.device)
    drawn.scatter_(2, tokens[..., None], 1)
    before = drawn.cumsum(1) - drawn
    left = log_q[:, None].masked_fill(before > 0, float("-inf"))
    return left.softmax(-1).nan_to_num(0.0)  # nothing left is 0 / 0


def _gumbel(keys: Sequences[int], logits: Tensor) -> Tensor:
    """A row of noise for every key; equal keys are hashed once."""
    places = {key: i for i, key in enumerate(dict.fromkeys(keys))}
    rows = noise.gumbel(list(places), logits.shape[1], logits.device)
    return rows[[places[key] for key in keys]]
