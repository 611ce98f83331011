"""What steps cost and bring by how many sequences decode in them: the numbers behind a schedule by batch size.

Nothing here grows with the number of steps: times are counted in bins of 2 % width, so a median is good to 1 %.
"""

from __future__ import annotations

import math
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.draft import Draft, Verification
    from engine.sequence import Batch

WIDTH = math.log(1.02)


@dataclass(slots=True)
class BatchSteps:
    """Steps with one number of decoding sequences; `tokens`, `drafted` and `accepted` are of all sequences together.

    `prompt_steps` of the `steps` computed a chunk of a prompt besides. `seconds` and `bins` leave those out, because a
    chunk costs many decoding steps; `bins` maps floor(log(seconds) / WIDTH) to a number of steps.
    """

    steps: int = 0
    prompt_steps: int = 0
    tokens: int = 0
    drafted: int = 0
    accepted: int = 0
    seconds: float = 0.0
    bins: dict[int, int] = field(default_factory=dict)

    @property
    def mean(self) -> float | None:
        """Seconds of a step without prompts."""
        timed = self.steps - self.prompt_steps
        return self.seconds / timed if timed else None

    @property
    def median(self) -> float | None:
        """Seconds of a step without prompts, to 1 %: the middle of the bin that holds it."""
        left = (sum(self.bins.values()) + 1) // 2
        for place in sorted(self.bins):
            left -= self.bins[place]
            if left <= 0:
                return math.exp((place + 0.5) * WIDTH)
        return None

    def add(self, other: BatchSteps, sign: int = 1) -> None:
        """Take in the steps of `other`, or with sign -1 take them out."""
        for name in ("steps", "prompt_steps", "tokens", "drafted", "accepted", "seconds"):
            setattr(self, name, getattr(self, name) + sign * getattr(other, name))
        for place, count in other.bins.items():
            self.bins[place] = self.bins.get(place, 0) + sign * count


class StepsByBatch:
    """`by_batch` maps a number of decoding sequences, 0 for steps that only computed prompts, to those steps."""

    def __init__(self) -> None:
        self.by_batch: dict[int, BatchSteps] = {}

    def count_step(self, batch: Batch, draft: Draft, verification: Verification, seconds: float) -> None:
        """Tokens and accepted ones are those before a stop condition trims them."""
        tokens = sum(len(emitted) for emitted in verification.emitted[: len(batch.decoding)])
        drafted, accepted = sum(draft.counts), sum(verification.num_accepted)
        self.count(len(batch.decoding), bool(batch.prefilling), seconds, tokens, drafted, accepted)

    def count(self, decoding: int, prompts: bool, seconds: float, tokens: int, drafted: int, accepted: int) -> None:
        """One step; `prompts` says that it also computed a chunk of one."""
        found = self.by_batch.setdefault(decoding, BatchSteps())
        found.steps += 1
        found.prompt_steps += prompts
        found.tokens += tokens
        found.drafted += drafted
        found.accepted += accepted
        if not prompts:
            found.seconds += seconds
            place = math.floor(math.log(max(seconds, 1e-9)) / WIDTH)
            found.bins[place] = found.bins.get(place, 0) + 1

    def copy(self) -> dict[int, BatchSteps]:
        """What was counted up to now."""
        return deepcopy(self.by_batch)

    def since(self, before: dict[int, BatchSteps]) -> dict[int, BatchSteps]:
        """What was counted after `before` was copied."""
        found = self.copy()
        for batch, steps in before.items():
            found[batch].add(steps, sign=-1)
        return {batch: steps for batch, steps in sorted(found.items()) if steps.steps}
