"""The types that travel through a step: what was drafted, and what the target made of it."""

from collections.abc import Sequence as Sequences
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor

from engine.tree.shape import Shape, chain, shape_of

if TYPE_CHECKING:
    from engine.drafting.branches import Branch
    from engine.sequence import Sequence


@dataclass(frozen=True)
class Draft:
    """Draft trees of the decoding sequences of one step in flat arrays, one sequence's nodes after another's.

    tokens   [N] nodes in breadth-first order within a sequence
    counts   [S] nodes per sequence; 0 is no draft
    parents  [N] a node's parent, counted within its sequence, -1 for the root (the last sampled token);
             None says that every sequence drafts a chain (parents -1, 0, 1, ...)
    probs    [N, V] the distribution each node was sampled from; None says the drafts are one-hot
    nodes    [N] the node of the static tree that each stands in, counted within the tree; None says its first ones
    """

    tokens: Sequences[int]
    counts: Sequences[int]
    parents: Sequences[int] | None = None
    probs: Tensor | None = None
    nodes: Sequences[int] | None = None

    @classmethod
    def empty(cls, num_sequences: int) -> "Draft":
        return cls([], [0] * num_sequences)

    @classmethod
    def chains(cls, chains: Sequences[Sequences[int]]) -> "Draft":
        return cls([token for chain in chains for token in chain], [len(chain) for chain in chains])

    @classmethod
    def trees(cls, trees: Sequences["Branch"]) -> "Draft":
        """Of static trees that are not full everywhere; a step in which all of them are chains is one of chains."""
        counts = [len(tree.tokens) for tree in trees]
        parents = [parent for tree in trees for parent in tree.parents]
        is_chain = parents == [parent for count in counts for parent in range(-1, count - 1)]
        return cls(
            [token for tree in trees for token in tree.tokens],
            counts,
            None if is_chain else parents,
            nodes=[node for tree in trees for node in tree.nodes],
        )

    def with_empty(self, num_sequences: int) -> "Draft":
        """The same followed by `num_sequences` sequences that have no draft."""
        return replace(self, counts=[*self.counts, *[0] * num_sequences]) if num_sequences else self

    def among(self, num_sequences: int, places: Sequences[int]) -> "Draft":
        """The same with its sequences at `places` among `num_sequences`; the others have no draft."""
        counts = [0] * num_sequences
        for place, count in zip(places, self.counts, strict=True):
            counts[place] = count
        return replace(self, counts=counts)

    @property
    def is_chain(self) -> bool:
        return self.parents is None

    def cut(self, depths: Sequences[int]) -> "Draft":
        """The same without the nodes of sequence i below depths[i]: its last ones, since they are breadth-first."""
        counts = [sum(depth <= most for depth in shape.depths) for shape, most in zip(self.shapes, depths, strict=True)]
        if counts == list(self.counts):
            return self
        ends = accumulate(self.counts)
        keep = [
            end - all_ + i for end, all_, count in zip(ends, self.counts, counts, strict=True) for i in range(count)
        ]
        parents = None if self.parents is None else [self.parents[i] for i in keep]
        probs = None if self.probs is None else self.probs[keep]
        nodes = None if self.nodes is None else [self.nodes[i] for i in keep]
        return Draft([self.tokens[i] for i in keep], counts, parents, probs, nodes)

    @cached_property
    def shapes(self) -> list[Shape]:
        """[S] of every sequence's draft."""
        if self.parents is None:
            return [chain(count) for count in self.counts]
        ends = [*accumulate(self.counts)]
        return [shape_of(tuple(self.parents[end - count : end])) for end, count in zip(ends, self.counts, strict=True)]


class Seen(NamedTuple):
    """What a step made final of one sequence: `rows[j]` of the step holds the target's state after position start + j.

    The rows ascend; of a tree they are those of the accepted path. step_rows are all that it had, rejected ones too.

    The token at position start + len(rows), the next one, is already in sequence.tokens: sampled, or of the prompt.
    """

    sequence: "Sequence"
    start: int
    rows: Sequences[int]
    is_prompt: bool
    step_rows: range


@dataclass(frozen=True, slots=True)
class Verification:
    """Per decoding sequence: how many drafted tokens the target accepted, and the tokens to emit (accepted + one).

    paths: the accepted nodes from the root down, counted within their sequence; None where all drafts are chains, whose
    accepted nodes are the first ones.
    """

    num_accepted: list[int]
    emitted: list[list[int]]
    paths: list[list[int]] | None = None

    def path(self, i: int) -> Sequences[int]:
        """The accepted nodes of sequence i, counted within it."""
        return range(self.num_accepted[i]) if self.paths is None else self.paths[i]

    def rows(self, i: int, first: int) -> Sequences[int]:
        """The rows of sequence i that became final: its root's, which is `first`, and those of the accepted nodes."""
        if self.paths is None:
            return range(first, first + 1 + self.num_accepted[i])
        return [first, *(first + 1 + node for node in self.paths[i])]
