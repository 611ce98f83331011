"""The draft loops in fixed shapes: as chains.py and trees.py, but every sequence goes to the same depth.

What is beyond a sequence's limit is drafted too, and cut by the number of nodes that are verified.
"""

import torch
from torch import Tensor

from engine.captured.picking import Drafted, Picker
from engine.drafting.chains import Stepper
from engine.drafting.fixed import FixedLevel, Roots, Rungs
from engine.drafting.trees import Plan
from engine.tree.masks import mask_words


def draft_chain(stepper: Stepper, roots: Roots, depth: int, picker: Picker) -> Drafted:
    """`depth` tokens for every sequence."""
    found: list[Drafted] = []
    rungs = Rungs(roots, depth - 1)
    for d in range(depth):
        if d:
            stepper.feed(found[-1].tokens[:, 0], rungs.level(d - 1))
        found.append(picker.one(stepper, d))
    return _joined(found)


class FixedTree:
    """A static tree for B sequences: the constants that a loop over it needs, made on the device once."""

    def __init__(self, plan: Plan, batch: int, device: torch.device):
        self.plan, self.batch = plan, batch
        depth = plan.tree.depth
        widths = [len(plan.fed[d]) * plan.width[d] for d in range(depth)]
        firsts = [sum(widths[:d]) for d in range(depth)]
        self.above = [self._above(d, device) for d in range(1, depth)]
        self.ranks = [self._ranks(d, device) for d in range(1, depth)]
        self.masks = [mask_words([plan.masks[node] for node in plan.fed[d]], device) for d in range(1, depth)]
        self.order = torch.tensor([self._place(node, firsts) for node in range(len(plan.tree))], device=device)

    def _above(self, depth: int, device: torch.device) -> Tensor:
        """[B * n] the row of the level before that each fed node at `depth` hangs on."""
        before = {node: j for j, node in enumerate(self.plan.fed[depth - 1])}
        rows = [before[self.plan.parents[node]] for node in self.plan.fed[depth]]
        return torch.tensor([b * len(before) + row for b in range(self.batch) for row in rows], device=device)

    def _ranks(self, depth: int, device: torch.device) -> Tensor:
        return torch.tensor([self.plan.ranks[node] for node in self.plan.fed[depth]] * self.batch, device=device)

    def _place(self, node: int, firsts: list[int]) -> int:
        """Where a node is among the picks of its sequence, level by level."""
        plan = self.plan
        depth = plan.tree.depths[node] - 1
        row = plan.fed[depth].index(plan.parents[node])
        return firsts[depth] + row * plan.width[depth] + plan.ranks[node]


def draft_tree(stepper: Stepper, roots: Roots, tree: FixedTree, picker: Picker) -> Drafted:
    """The whole tree for every sequence."""
    plan, found = tree.plan, list[Drafted]()
    for d in range(plan.tree.depth):
        if d:
            above, ranks, masks = tree.above[d - 1], tree.ranks[d - 1], tree.masks[d - 1]
            picked = found[-1].tokens.view(-1, plan.width[d - 1])
            stepper.narrow(above)
            level = FixedLevel(roots, d - 1, plan.first[d - 1], masks)
            stepper.feed(picked.index_select(0, above).gather(1, ranks[:, None])[:, 0], level)
        found.append(picker.several(stepper.logits(), d, plan.width[d]))
    whole = _joined(found)
    q = None if whole.q is None else whole.q.index_select(1, tree.order)
    return Drafted(whole.tokens.index_select(1, tree.order), q)


def _joined(found: list[Drafted]) -> Drafted:
    known = [each.q for each in found if each.q is not None]
    return Drafted(torch.cat([each.tokens for each in found], 1), torch.cat(known, 1) if known else None)
