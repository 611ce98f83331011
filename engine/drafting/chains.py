"""The draft loop: one token a sequence and depth, each depth fed with the tokens of the one before."""

from collections.abc import Sequence as Sequences
from typing import Protocol

import torch
from torch import Tensor

from engine.draft import Draft
from engine.drafting.level import DraftLevel, Level
from engine.drafting.sampling import Picked, pick
from engine.sequence import Sequence

Column = tuple[list[int], Tensor, Tensor | None]  # of one depth: places of the sequences, their tokens, their q


class Stepper(Protocol):
    """A draft network during one loop. It starts ready to give the logits of every sequence's first drafted token."""

    def logits(self) -> Tensor:
        """[R, V] for the next token of the rows it holds: the sequences at first."""

    def best(self) -> Tensor:
        """[R] the likeliest tokens, where no more is asked of the logits."""
        return self.logits().argmax(-1)

    def narrow(self, keep: Tensor) -> None:
        """Go on with these of its rows (indices): without sequences that end, and a row for each of its branches."""

    def feed(self, tokens: Tensor, level: DraftLevel) -> None:
        """Take the tokens [R] of a level; from then on its rows are theirs."""


def draft_chains(stepper: Stepper, sequences: Sequences[Sequence], limits: Sequences[int], method: str) -> Draft:
    """A chain of limits[i] tokens (at least 1) for sequences[i]."""
    method = "greedy" if all(sequence.params.is_greedy for sequence in sequences) else method
    places = list(range(len(sequences)))  # of those that still draft
    columns: list[Column] = []
    for depth in range(max(limits)):
        if depth:
            places = _feed(stepper, columns[-1], sequences, limits, depth)
        picked = _pick(method, stepper, [sequences[place] for place in places], depth)
        columns.append((places, picked.tokens, picked.probs))
    return _gather(columns, limits)


def _pick(method: str, stepper: Stepper, sequences: Sequences[Sequence], depth: int) -> Picked:
    if method == "greedy":
        return Picked(stepper.best(), None)
    return pick(method, stepper.logits(), sequences, depth)


def _feed(
    stepper: Stepper, last: Column, sequences: Sequences[Sequence], limits: Sequences[int], depth: int
) -> list[int]:
    """Feed the tokens of the depth before to the sequences that draft on; returns their places."""
    places, tokens, _ = last
    left = [j for j, place in enumerate(places) if limits[place] > depth]
    if len(left) < len(places):
        keep = torch.tensor(left, device=tokens.device)
        stepper.narrow(keep)
        places, tokens = [places[j] for j in left], tokens.index_select(0, keep)
    stepper.feed(tokens, Level([sequences[place] for place in places], depth - 1))
    return places


def _gather(columns: Sequences[Column], limits: Sequences[int]) -> Draft:
    """Depth-major picks to sequence-major flat arrays; the tokens come to the host in one copy."""
    flat = torch.cat([tokens for _, tokens, _ in columns]).tolist()
    order = _order([places for places, _, _ in columns], len(limits))
    tokens = [flat[i] for i in order]
    probs = [probs for _, _, probs in columns if probs is not None]
    together = torch.cat(probs)[torch.tensor(order, device=probs[0].device)] if probs else None
    return Draft(tokens, list(limits), probs=together)


def _order(places: Sequences[list[int]], num_sequences: int) -> list[int]:
    """Where in the depth-major arrays the nodes of sequence 0, then 1, ... are."""
    nodes: list[list[int]] = [[] for _ in range(num_sequences)]
    row = 0
    for column in places:
        for place in column:
            nodes[place].append(row)
            row += 1
    return [row for chain in nodes for row in chain]
