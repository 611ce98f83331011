"""Dynamic trees in fixed shapes: as drafting/dynamic.py, with beams, masks and the choice of nodes as tensors.

Every sequence grows as deep as any may; nodes below a sequence's own limit are not among those it chooses from.
"""

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from engine.drafting.chains import Stepper
from engine.drafting.dynamic import likeliest
from engine.drafting.fixed import FixedLevel, Roots
from engine.tree.masks import NUM_BITS, words_for

NEVER = float("-inf")


class Chosen(NamedTuple):
    """[B, N] nodes in the order in which they were made, then padding; masks: the path to each, itself included."""

    tokens: Tensor
    parents: Tensor
    depths: Tensor
    masks: Tensor


class Made(NamedTuple):
    """All nodes of a level, [B, nodes]: log-chances of their paths, and which node of the level before is above."""

    tokens: Tensor
    scores: Tensor
    above: Tensor


def draft_dynamic(stepper: Stepper, roots: Roots, limits: Tensor, depth: int, topk: int, num_nodes: int) -> Chosen:
    """num_nodes nodes on at most limits [B] levels; `depth` is the most that a limit can be."""
    scores, tokens = likeliest(stepper.logits(), topk)
    width = tokens.shape[1]
    levels = [Made(tokens, scores, torch.full_like(tokens, -1))]
    beam = torch.arange(width, device=tokens.device).expand_as(tokens)
    above = torch.zeros_like(beam)
    masks = beam.new_zeros(len(beam), 1, words_for(width * (depth - 1)))
    for d in range(1, depth):
        rows = torch.arange(len(beam), device=beam.device)[:, None] * masks.shape[1] + above
        stepper.narrow(rows.flatten())
        masks = _masks(masks, above, (d - 1) * width)
        stepper.feed(levels[-1].tokens.gather(1, beam).flatten(), FixedLevel(roots, d - 1, (d - 1) * width, masks))
        levels.append(_grow(stepper.logits(), levels[-1].scores.gather(1, beam), beam))
        beam = levels[-1].scores.topk(width).indices
        above = beam // width
    return _choose(levels, limits, num_nodes)


def _grow(logits: Tensor, scores: Tensor, beam: Tensor) -> Made:
    """The children of a beam: logits [B * b, V], scores and beam [B, b]."""
    batch, width = beam.shape
    chances, tokens = likeliest(logits, width)
    paths = scores[:, :, None] + chances.view(batch, width, width)
    above = beam[:, :, None].expand(-1, -1, width)
    return Made(tokens.view(batch, -1), paths.flatten(1), above.reshape(batch, -1))


def _masks(masks: Tensor, above: Tensor, first: int) -> Tensor:
    """masks [B, rows, words] of the level before, above [B, b] -> [B, b, words]: what a row sees, and itself."""
    number = first + torch.arange(above.shape[1], device=above.device)[:, None]
    word = torch.arange(masks.shape[2], device=above.device)
    own = torch.ones_like(number).bitwise_left_shift(number % NUM_BITS).where(number // NUM_BITS == word, 0)
    return masks.gather(1, above[:, :, None].expand(-1, -1, masks.shape[2])) | own


def _choose(levels: list[Made], limits: Tensor, num_nodes: int) -> Chosen:
    """The likeliest nodes; of equal ones those made first, so that a node's parent is always among them."""
    depths = torch.cat([torch.full_like(made.tokens, d) for d, made in enumerate(levels, start=1)], 1)
    scores = torch.cat([made.scores for made in levels], 1).masked_fill(depths > limits[:, None], NEVER)
    tokens, parents = torch.cat([made.tokens for made in levels], 1), _parents(levels)
    total = tokens.shape[1]
    kept = min(num_nodes, total)
    best = scores.sort(stable=True, dim=1, descending=True)
    found = best.indices[:, :kept].where(best.values[:, :kept] > NEVER, total).sort(1).values
    found = torch.nn.functional.pad(found, (0, num_nodes - kept), value=total)
    there = found < total
    inside = found.where(there, 0)
    place = torch.arange(num_nodes, device=found.device).expand_as(found)
    at = place.new_full((len(found), 1 + total), -1).scatter_(1, found, place)  # the last column is padding's
    above = parents.gather(1, inside)
    above = at.gather(1, above.clamp_min(0)).where((above >= 0) & there, -1)
    return Chosen(
        tokens.gather(1, inside).where(there, 0),
        above,
        depths.gather(1, inside).where(there, 0),
        _ancestors(above, len(levels)),
    )


def _parents(levels: list[Made]) -> Tensor:
    """[B, nodes] the parent of each node among all that were made, -1 the root."""
    begins, found = 0, [levels[0].above]
    for before, made in pairwise(levels):
        found.append(made.above + begins)
        begins += before.tokens.shape[1]
    return torch.cat(found, 1)


def _ancestors(parents: Tensor, depth: int) -> Tensor:
    """[B, N] -> masks [B, N] as of `flat.ancestors`; N is at most 64."""
    own = torch.ones_like(parents).bitwise_left_shift(torch.arange(parents.shape[1], device=parents.device))
    masks = own
    for _ in range(depth - 1):
        masks = own | masks.gather(1, parents.clamp_min(0)).where(parents >= 0, 0)
    return masks
