"""What the engine counts. Every rate is derived here from counters; none is stored twice.

Definitions (the field's usual ones, and vLLM's):
    acceptance rate          accepted / drafted tokens
    mean acceptance length   1 + accepted / drafts           (the bonus or recovered token counts once per draft)
    acceptance per position  accepted at position i / drafts that proposed a token there
    acceptance of a child    accepted / drafts whose accepted path led to its parent, by depth and rank or by node
A position is a depth: a tree proposes a token at depth i however many nodes it has there, and accepts at most one.
Accepted tokens are counted before a stop condition trims them. A step without a draft is not a draft: mean acceptance
length alone flatters a window that rarely drafts, so show tokens per target pass beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from itertools import zip_longest
from typing import Any


@dataclass(slots=True)
class SpecDecodingStats:
    """Counters of speculative decoding. `num_spec_tokens` is the configured K; lists by position have K entries, and
    more where a draft went deeper.

    tree_tried[depth - 1][rank], tree_accepted alike   children of that rank whose parent was accepted (or is the root)
    tree_open                                          those of tree_tried before which no sibling was accepted
    node_tried[i], node_accepted[i]                    the same by node: of use where every draft has the same tree
    """

    num_spec_tokens: int
    num_drafts: int = 0
    num_draft_tokens: int = 0
    num_accepted_tokens: int = 0
    num_accepted_tokens_per_pos: list[int] = field(default_factory=list)
    num_draft_tokens_per_pos: list[int] = field(default_factory=list)
    tree_tried: list[list[int]] = field(default_factory=list)
    tree_open: list[list[int]] = field(default_factory=list)
    tree_accepted: list[list[int]] = field(default_factory=list)
    node_tried: list[int] = field(default_factory=list)
    node_accepted: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.num_accepted_tokens_per_pos = self.num_accepted_tokens_per_pos or [0] * self.num_spec_tokens
        self.num_draft_tokens_per_pos = self.num_draft_tokens_per_pos or [0] * self.num_spec_tokens

    def observe_draft(self, num_draft_tokens: int, num_accepted_tokens: int, depth: int | None = None) -> None:
        """Count one draft of one sequence: of `num_draft_tokens` nodes on `depth` levels, by default a chain."""
        depth = num_draft_tokens if depth is None else depth
        self.num_drafts += 1
        self.num_draft_tokens += num_draft_tokens
        self.num_accepted_tokens += num_accepted_tokens
        _grow(self.num_draft_tokens_per_pos, depth)
        _grow(self.num_accepted_tokens_per_pos, depth)
        for i in range(depth):
            self.num_draft_tokens_per_pos[i] += 1
        for i in range(num_accepted_tokens):
            self.num_accepted_tokens_per_pos[i] += 1

    def observe_tree(self, parents: Sequence[int], path: Sequence[int], nodes: Sequence[int] | None = None) -> None:
        """Count what became of a draft tree, beside `observe_draft`: parents [N] as in `Draft`, -1 for the root's
        children; path: the accepted nodes from the root down; nodes [N] as in `Draft`, by which those of a static tree
        that is not full are counted. Nodes whose parent was rejected say nothing.
        """
        names = range(len(parents)) if nodes is None else nodes
        _grow(self.node_tried, 1 + max(names, default=-1))
        _grow(self.node_accepted, 1 + max(names, default=-1))
        depths = {node: depth for depth, node in enumerate((-1, *path))}
        ranks, found = [0] * len(depths), [False] * len(depths)  # of the children met so far of every accepted node
        for node, parent in enumerate(parents):
            depth = depths.get(parent)
            if depth is not None:
                accepted = node in depths
                self._count_child(depth, ranks[depth], names[node], accepted, is_open=not found[depth])
                ranks[depth] += 1
                found[depth] = found[depth] or accepted

    def _count_child(self, depth: int, rank: int, node: int, accepted: bool, is_open: bool) -> None:
        self.node_tried[node] += 1
        self.node_accepted[node] += accepted
        for table, count in ((self.tree_tried, 1), (self.tree_open, is_open), (self.tree_accepted, accepted)):
            while len(table) <= depth:
                table.append([])
            _grow(table[depth], rank + 1)
            table[depth][rank] += count

    def acceptance_by_depth_and_rank(self) -> list[list[float | None]]:
        """[depth - 1][rank] the chance that a child is accepted once its parent was; None for what cannot be told.

        Where all parents had as many children it is accepted / tried. Where some had fewer, the chance of a rank is
        that of no earlier sibling times accepted / open, so that the chances of siblings never sum to more than 1.
        """
        return [_chances(*rows) for rows in zip(self.tree_open, self.tree_accepted, strict=True)]

    def __add__(self, more: "SpecDecodingStats") -> "SpecDecodingStats":
        return self._with(more, 1)

    def __sub__(self, less: "SpecDecodingStats") -> "SpecDecodingStats":
        """What was counted since a copy `less` was taken."""
        return self._with(less, -1)

    def _with(self, other: "SpecDecodingStats", sign: int) -> "SpecDecodingStats":
        counted = [field.name for field in fields(self) if field.name != "num_spec_tokens"]
        sums = {name: _sum(getattr(self, name), getattr(other, name), sign) for name in counted}
        return SpecDecodingStats(max(self.num_spec_tokens, other.num_spec_tokens), **sums)

    @property
    def acceptance_rate(self) -> float | None:
        return self.num_accepted_tokens / self.num_draft_tokens if self.num_draft_tokens else None

    @property
    def mean_acceptance_length(self) -> float | None:
        return 1.0 + self.num_accepted_tokens / self.num_drafts if self.num_drafts else None

    @property
    def acceptance_per_position(self) -> list[float | None]:
        pairs = zip(self.num_accepted_tokens_per_pos, self.num_draft_tokens_per_pos, strict=True)
        return [accepted / drafted if drafted else None for accepted, drafted in pairs]


def _sum(one: Any, other: Any, sign: int) -> Any:
    """one + sign * other of counts, or of lists of them, the shorter filled up with nothing. A new list."""
    if isinstance(one, list) or isinstance(other, list):
        return [_sum(*pair, sign) for pair in zip_longest(one or [], other or [], fillvalue=0)]
    return one + sign * other


def _grow(counts: list[int], length: int) -> None:
    counts += [0] * (length - len(counts))


def _chances(opened: Sequence[int], accepted: Sequence[int]) -> list[float | None]:
    """The product-limit estimate, for parents some of which had fewer children than others."""
    chances: list[float | None] = []
    left = 1.0  # chance that no earlier sibling is accepted
    for open_, taken in zip(opened, accepted, strict=True):
        chances.append(left * taken / open_ if open_ else None if left else 0.0)
        left *= 1 - taken / open_ if open_ else 1.0
    return chances


@dataclass(slots=True)
class StepTimings:
    """Where the steps went. Seconds are host clock; `other` is scheduling, commit and detokenization.

    num_prompt_tokens: tokens computed in prompt chunks, those computed again after a preemption among them.
    """

    num_steps: int = 0
    num_target_rows: int = 0
    num_prompt_tokens: int = 0
    num_preemptions: int = 0
    num_drafts_cut: int = 0  # made shorter, or not at all, because the cache had no room
    num_output_tokens: int = 0
    num_decode_passes: int = 0
    num_decode_tokens: int = 0
    draft: float = 0.0
    target: float = 0.0
    verify: float = 0.0
    other: float = 0.0

    @property
    def tokens_per_target_pass(self) -> float | None:
        """Tokens emitted per target pass of one sequence that was decoding (prefill passes left out)."""
        return self.num_decode_tokens / self.num_decode_passes if self.num_decode_passes else None

    def count_step(self, rows: int, draft: float, target: float, verify: float, other: float) -> None:
        self.num_steps += 1
        self.num_target_rows += rows
        self.draft += draft
        self.target += target
        self.verify += verify
        self.other += other

    def count_batch(self, prompt_tokens: int, preemptions: int) -> None:
        self.num_prompt_tokens += prompt_tokens
        self.num_preemptions += preemptions

    def count_output(self, tokens: int, decoding: bool) -> None:
        """`tokens` of one sequence; a first token comes from its prompt's pass, not from decoding."""
        self.num_output_tokens += tokens
        if decoding:
            self.num_decode_passes += 1
            self.num_decode_tokens += tokens
