"""Draft trees of a served batch beside those that a slow reference grows from the same tokens.

What the engine verifies is steered: along a random path of every tree, nodes are replaced by what the target will say,
so that paths of any shape and length are accepted, whatever the random weights draft.
"""

import random
from pathlib import Path
from typing import NamedTuple

import torch

from engine import Engine
from engine.draft import Draft
from tests.engine.proposers.drafting import PROMPT_LENGTHS, VOCAB, serve_steered

LENGTHS = (30, 21, 60)


class Grown(NamedTuple):
    """A request's tokens when it was asked for a tree of at most `limit` levels, and the tree."""

    tokens: list[int]
    limit: int
    drafted: list[int]
    parents: list[int]

    def path(self, node: int) -> list[int]:
        """The tokens from the root down to a node."""
        return [] if node < 0 else [*self.path(self.parents[node]), self.drafted[node]]

    def children(self, node: int) -> list[int]:
        """Their tokens in order."""
        return [token for token, parent in zip(self.drafted, self.parents, strict=True) if parent == node]


def grow(target: Path, settings: dict, batch: int, prompt_lengths: tuple[int, ...] = PROMPT_LENGTHS) -> list[Grown]:
    """Serve three sampling requests with steered acceptance; every tree that was drafted on the way."""
    made: list[Grown] = []
    serve_steered(
        target,
        settings,
        batch,
        lambda engine, truth, rng: steer(engine, truth, made, rng),
        prompt_lengths=prompt_lengths,
        lengths=LENGTHS,
    )
    return made


def steer(engine: Engine, truth: list[list[int]], made: list[Grown], rng: random.Random) -> None:
    propose = engine._proposer.propose

    def steered(sequences, limits):
        draft = propose(sequences, limits)
        tokens: list[int] = []
        for sequence, limit, shape in zip(sequences, limits, draft.shapes, strict=True):
            parents = list(shape.parents)
            drafted = list(draft.tokens[len(tokens) : len(tokens) + len(parents)])
            made.append(Grown(list(sequence.tokens), limit, drafted, parents))
            told = next(full for full in truth if full[: len(sequence.tokens)] == sequence.tokens)
            tokens += _planted(drafted, parents, told[len(sequence.tokens) :], rng)
        return Draft(tokens, draft.counts, draft.parents)

    engine._proposer.propose = steered


def _planted(drafted: list[int], parents: list[int], right: list[int], rng: random.Random) -> list[int]:
    """Everything wrong, but for a random path that goes as deep as chance says."""
    wrong = [(right[0] + 1 + i) % VOCAB for i in range(len(drafted))]
    planted, node, depth = list(wrong), -1, 0
    while (below := [i for i, parent in enumerate(parents) if parent == node]) and rng.random() < 0.75:
        if depth == len(right):
            break
        node = rng.choice(below)
        for i in below:
            planted[i] = (right[depth] + 1 + i) % VOCAB
        planted[node] = right[depth]
        depth += 1
    return planted


class Walk:
    """What the references of chains ask for: follow these tokens, and tell what comes after them."""

    def __init__(self, tokens: list[int], path: list[int]):
        self.tokens, self.drafted, self.seed, self.temperature = tokens, range(len(path) + 1), 0, 0.0
        self._path, self.found = path, torch.empty(0)

    def pick(self, logits: torch.Tensor, depth: int) -> int:
        if depth < len(self._path):
            return self._path[depth]
        self.found = logits
        return 0

    def choose(self, step: int, logits: torch.Tensor) -> int:
        return self.pick(logits, step)


def check(made: list[Grown], run, every: int = 1) -> None:
    """run(walk): drafts by the slow reference along walk. Children are the likeliest tokens, best first."""
    assert len(made) > 10
    for one in made[::every]:
        for node in {-1, *one.parents}:
            walk = Walk(one.tokens, one.path(node))
            with torch.no_grad():
                run(walk)
            children = one.children(node)
            assert children == walk.found.topk(len(children)).indices.tolist(), f"at {len(one.tokens)} tokens"
