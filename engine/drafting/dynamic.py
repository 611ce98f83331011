"""Trees that take their shape from the draft's own chances, step by step (EAGLE-2, Li et al. 2024).

Every level goes on from the `topk` nodes with the highest chance of the whole path, each with its `topk` likeliest
children; in the end the likeliest nodes of all levels are kept. Chances fall along a path, so a node's parent is always
among them. The nodes are the likeliest, not samples: they are verified by descending to the target's choice.
"""

from collections.abc import Sequence as Sequences
from typing import NamedTuple

import torch
from torch import Tensor

from engine.draft import Draft
from engine.drafting.chains import Stepper
from engine.drafting.level import Level
from engine.sequence import Sequence


class Grown(NamedTuple):
    """The nodes made at one depth: whose they are, and [places, nodes] tensors.

    scores are the log-chances of the paths; above is a parent's index among the nodes made at the depth before.
    """

    places: list[int]
    tokens: Tensor
    scores: Tensor
    above: Tensor


def draft_dynamic(
    stepper: Stepper, sequences: Sequences[Sequence], limits: Sequences[int], topk: int, num_draft_tokens: int
) -> Draft:
    """At most num_draft_tokens nodes on at most limits[i] levels (at least 1) for sequences[i]."""
    places = list(range(len(sequences)))
    scores, tokens = likeliest(stepper.logits(), topk)
    levels = [Grown(places, tokens, scores, torch.full_like(tokens, -1))]
    beam = torch.arange(tokens.shape[1], device=tokens.device).expand_as(tokens)
    above, masks = torch.zeros_like(beam), [[0]] * len(places)
    for depth in range(1, max(limits)):
        grown = levels[-1]
        going = [i for i, place in enumerate(grown.places) if limits[place] > depth]
        keep = torch.tensor(going, device=tokens.device)
        beam, above = beam[keep], above[keep]
        masks = _masks([masks[i] for i in going], above.tolist(), (depth - 1) * beam.shape[1])
        owners = [sequences[grown.places[i]] for i in going]
        level = Level(owners, depth - 1, [(depth - 1) * beam.shape[1]] * len(going), [tuple(each) for each in masks])
        rows = keep[:, None] * (beam.shape[1] if depth > 1 else 1) + above
        stepper.narrow(rows.flatten())
        stepper.feed(grown.tokens[keep].gather(1, beam).flatten(), level)
        levels.append(
            _grow(stepper.logits(), [grown.places[i] for i in going], grown.scores[keep].gather(1, beam), beam)
        )
        beam, above = _next_beam(levels[-1], beam.shape[1])
    return _choose(levels, limits, num_draft_tokens)


def likeliest(logits: Tensor, topk: int) -> tuple[Tensor, Tensor]:
    """logits [R, V] -> log-chances and tokens [R, k]."""
    found = logits.float().log_softmax(-1).topk(min(topk, logits.shape[1]))
    return found.values, found.indices


def _grow(logits: Tensor, places: list[int], scores: Tensor, beam: Tensor) -> Grown:
    """The children of a beam: logits [S * b, V], scores and beam (indices among the level's nodes) [S, b]."""
    width = beam.shape[1]
    chances, tokens = likeliest(logits, width)
    shape = (len(places), width * width)
    paths = scores[:, :, None] + chances.view(len(places), width, width)
    return Grown(places, tokens.view(shape), paths.view(shape), beam.repeat_interleave(width, 1))


def _next_beam(grown: Grown, width: int) -> tuple[Tensor, Tensor]:
    """[S, b] the best nodes of a level, and the row of the level before that each grew from."""
    best = grown.scores.topk(width).indices
    return best, best // width


def _masks(masks: list[list[int]], above: list[list[int]], first: int) -> list[list[int]]:
    """What each node of a beam sees of the nodes fed so far, `first` of them, and itself."""
    return [
        [mine[row] | 1 << (first + j) for j, row in enumerate(rows)] for mine, rows in zip(masks, above, strict=True)
    ]


def _choose(levels: Sequences[Grown], limits: Sequences[int], num_draft_tokens: int) -> Draft:
    """The likeliest nodes of every sequence, in the order in which they were made."""
    made: list[list[tuple[float, int, int]]] = [[] for _ in limits]  # per sequence (score, token, parent)
    begin = [0] * len(limits)  # where the level before begins in a sequence's list
    for grown in levels:
        rows = zip(grown.places, grown.tokens.tolist(), grown.scores.tolist(), grown.above.tolist(), strict=True)
        for place, tokens, scores, above in rows:
            start = len(made[place])
            made[place] += [
                (score, token, begin[place] + up if up >= 0 else -1)
                for score, token, up in zip(scores, tokens, above, strict=True)
            ]
            begin[place] = start
    flat_tokens: list[int] = []
    flat_parents: list[int] = []
    counts = []
    for nodes in made:
        possible = [i for i, node in enumerate(nodes) if node[0] > float("-inf")]
        best = sorted(sorted(possible, key=lambda i: -nodes[i][0])[:num_draft_tokens])
        at = {-1: -1} | {i: place for place, i in enumerate(best)}
        flat_tokens += [nodes[i][1] for i in best]
        flat_parents += [at[nodes[i][2]] for i in best]
        counts.append(len(best))
    return Draft(flat_tokens, counts, flat_parents)
