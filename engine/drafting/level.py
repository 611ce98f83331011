"""One level of a draft loop: the drafted tokens that a network takes in at once, and where they belong."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from engine import sequence as running
from engine.models.attention import Nodes, Span
from engine.models.stack import Short


class DraftLevel(Protocol):
    """What draft networks are fed, in lists (Level) or in tensors of fixed shape (fixed.FixedLevel)."""

    @property
    def depth(self) -> int:
        """Of the rows: the token drafted at depth d (0 is the first) has index len(sequence.tokens) + d."""

    def spans(self, shift: int) -> Short:
        """Cache rows, where the root (the last token) is at position len(sequence.tokens) - 1 + shift."""


@dataclass(frozen=True)
class Level:
    """Rows are ordered by sequence.

    sequences  those that draft on, by slot
    depth      of the rows: the token drafted at depth d (0 is the first) has index len(sequence.tokens) + d
    first      for each sequence, how many drafted tokens it has fed before
    masks      for each sequence and row, which of its fed tokens the row sees, itself included; None: chains
    """

    sequences: Sequence["running.Sequence"]
    depth: int
    first: Sequence[int] | None = None
    masks: Sequence[tuple[int, ...]] | None = None

    def spans(self, shift: int) -> list[Span]:
        """Cache rows, where the root (the last token) is at position len(sequence.tokens) - 1 + shift."""
        roots = [len(sequence.tokens) - 1 + shift for sequence in self.sequences]
        if self.masks is None or self.first is None:
            start = 1 + self.depth
            return [Span(owner.slot, root + start, 1) for owner, root in zip(self.sequences, roots, strict=True)]
        return [
            Span(owner.slot, root + 1 + first, len(masks), Nodes(root, masks))
            for owner, root, first, masks in zip(self.sequences, roots, self.first, self.masks, strict=True)
        ]
