"""The draft loop for a static tree: `chains.draft_chains` with several children a node.

Only nodes that have children are fed to the draft network. Their keys follow the root's in the draft's cache, level by
level, and are forgotten after the draft: the accepted ones are taken in again with the target's true states.
"""

from collections.abc import Sequence as Sequences
from functools import lru_cache

import torch
from torch import Tensor

from engine.draft import Draft
from engine.drafting.chains import Stepper
from engine.drafting.children import Children, pick_children
from engine.drafting.level import Level
from engine.sequence import Sequence
from engine.tree.token_tree import TokenTree

Row = tuple[int, int]  # the place of a sequence, and a node of the tree (-1 the root)


class Plan:
    """What the loop needs of a tree: which nodes are fed at each depth, and what each of them sees."""

    def __init__(self, tree: TokenTree):
        self.tree, self.parents, self.ranks = tree, tree.parents, tree.ranks
        self.fed: list[list[int]] = [[-1], *([n for n in level if tree.num_children[1 + n]] for level in tree.levels)]
        self.width = [max(tree.num_children[1 + node] for node in nodes) for nodes in self.fed[: tree.depth]]
        self.first = [0]  # how many nodes are fed before each depth, the root not counted
        self.masks: dict[int, int] = {-1: 0}
        for nodes in self.fed[1:]:
            for place, node in enumerate(nodes, start=self.first[-1]):
                self.masks[node] = self.masks[self.parents[node]] | 1 << place
            self.first.append(self.first[-1] + len(nodes))

    @property
    def num_fed(self) -> int:
        """Nodes of one sequence that are fed, the root not counted."""
        return self.first[self.tree.depth - 1]

    def level(self, sequences: Sequences[Sequence], depth: int) -> Level:
        """The nodes at `depth` (1 is the first drafted token) of these sequences."""
        masks = tuple(self.masks[node] for node in self.fed[depth])
        count = len(sequences)
        return Level(sequences, depth - 1, [self.first[depth - 1]] * count, [masks] * count)


plan_of = lru_cache(maxsize=64)(Plan)


def draft_trees(
    stepper: Stepper, sequences: Sequences[Sequence], limits: Sequences[int], tree: TokenTree, method: str
) -> Draft:
    """The tree, cut below limits[i] (at least 1), for sequences[i]."""
    method = "greedy" if all(sequence.params.is_greedy for sequence in sequences) else method
    plan, limits = plan_of(tree), [min(limit, tree.depth) for limit in limits]
    rows: list[Row] = [(place, -1) for place in range(len(sequences))]
    picked: list[tuple[list[Row], Children]] = []
    for depth in range(max(limits)):
        if depth:
            rows = _feed(stepper, plan, rows, picked[-1][1].tokens, sequences, limits, depth)
        owners = [sequences[place] for place, _ in rows]
        picked.append((rows, pick_children(method, stepper.logits(), owners, depth, plan.width[depth])))
    return _gather(plan, picked, limits)


def _feed(
    stepper: Stepper,
    plan: Plan,
    rows: list[Row],
    tokens: Tensor,
    sequences: Sequences[Sequence],
    limits: Sequences[int],
    depth: int,
) -> list[Row]:
    """Feed the nodes at `depth` that go on; tokens [rows, width] were picked as children of `rows`."""
    at = {row: i for i, row in enumerate(rows)}
    active = [place for place, limit in enumerate(limits) if limit > depth]
    fed = [(place, node) for place in active for node in plan.fed[depth]]
    above = [at[place, plan.parents[node]] for place, node in fed]
    index = torch.tensor([above, [plan.ranks[node] for _, node in fed]], device=tokens.device)
    stepper.narrow(index[0])
    stepper.feed(tokens[index[0], index[1]], plan.level([sequences[place] for place in active], depth))
    return fed


def _gather(plan: Plan, picked: Sequences[tuple[list[Row], Children]], limits: Sequences[int]) -> Draft:
    """Depth-major picks to sequence-major flat arrays; the tokens come to the host in one copy."""
    first: dict[Row, int] = {}  # where the children of a row begin in the flat arrays
    size = 0
    for (rows, _), width in zip(picked, plan.width, strict=False):
        for row in rows:
            first[row] = size
            size += width
    counts = [len(plan.tree.within(limit)) for limit in limits]
    pairs = [(place, node) for place, count in enumerate(counts) for node in range(count)]
    order = [first[place, plan.parents[node]] + plan.ranks[node] for place, node in pairs]
    flat = torch.cat([children.tokens.flatten() for _, children in picked]).tolist()
    parents = [plan.parents[node] for _, node in pairs]
    return Draft([flat[i] for i in order], counts, parents, _probs([children for _, children in picked], order))


def _probs(picked: Sequences[Children], order: list[int]) -> Tensor | None:
    known = [children.probs for children in picked if children.probs is not None]
    if not known:
        return None
    size = known[0].shape[-1]
    # A level without sampled requests keeps none: their drafts are verified by equality.
    parts = [
        known[0].new_zeros(children.tokens.numel(), size) if children.probs is None else children.probs.flatten(0, 1)
        for children in picked
    ]
    return torch.cat(parts)[torch.tensor(order, device=known[0].device)]
