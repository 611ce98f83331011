"""How many drafted tokens a head would have accepted on held-out answers, drafting freely and greedily.

Every chain of an answer is drafted at once, each step fed with the head's own token. Then the answer is walked as the
engine walks it: draft, accept the agreeing prefix, go on behind the token after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from engine.training.heads.base import Head
from engine.training.lessons import Lesson


@dataclass
class Acceptance:
    """`accepted[k]`: drafts whose tokens 0 .. k all agreed. Formulas of vLLM's spec_decode counters."""

    steps: int
    drafts: int = 0
    accepted: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.accepted = self.accepted or [0] * self.steps

    def add(self, run: int) -> None:
        self.drafts += 1
        for position in range(run):
            self.accepted[position] += 1

    @property
    def per_position(self) -> list[float]:
        """accepted_per_pos / drafts, unconditional."""
        return [count / max(1, self.drafts) for count in self.accepted]

    @property
    def mean_length(self) -> float:
        """1 + accepted / drafts."""
        return 1 + sum(self.accepted) / max(1, self.drafts)

    def plus(self, other: Acceptance) -> Acceptance:
        accepted = [a + b for a, b in zip(self.accepted, other.accepted, strict=True)]
        return Acceptance(self.steps, self.drafts + other.drafts, accepted)

    def record(self) -> dict[str, Any]:
        per_position = [round(share, 4) for share in self.per_position]
        return {"drafts": self.drafts, "mean_length": round(self.mean_length, 4), "per_position": per_position}


@torch.no_grad()
def acceptance(head: Head, batches: Sequence[Lesson], steps: int) -> Acceptance:
    """Walks every answer with drafts of `steps` tokens, fewer where the head cannot or the answer ends."""
    found = Acceptance(min(steps, head.most_drafts or steps))
    for batch in batches:
        runs, ends = agreeing(head, batch, found.steps).tolist(), batch.live(0).sum(1).tolist()
        for row, end in zip(runs, ends, strict=True):
            place = 0
            while place < end:
                found.add(row[place])
                place += row[place] + 1
    return found


def agreeing(head: Head, batch: Lesson, steps: int) -> Tensor:
    """[B, A] how many first tokens of every chain's free draft are the target's."""
    chain, tokens = head.chain(batch), batch.tokens(0)
    runs = torch.zeros_like(tokens)
    agrees = torch.ones_like(tokens, dtype=torch.bool)
    for step in range(steps):
        tokens = head.drafted(chain.step(tokens), step)
        agrees = agrees & (tokens == batch.wanted(step)) & batch.live(step)
        runs += agrees
    return runs
