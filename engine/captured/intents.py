"""How a captured step is drafted and verified: what the device can do of it, and in which shape."""

from collections.abc import Sequence as Sequences
from typing import NamedTuple, cast

from engine.captured.sizes import Size, bucket, node_bucket
from engine.draft import Draft
from engine.drafting.fixed import FixedProposer
from engine.proposers.base import Proposer
from engine.ragged_path import drafted
from engine.sequence import Sequence
from engine.tree.masks import words_for
from engine.tree.shape import Shape, chain, shape_of
from engine.tree.token_tree import TokenTree

ON_DEVICE = ("standard", "synthetic")  # ways of verifying that graphs know


class Intent(NamedTuple):
    """How a step is drafted: on the device (draft None; counts are how many nodes are verified), or already.

    limits are the most levels of each sequence; method is how drafted tokens are picked, see drafting/sampling.py.
    is_plain: the device can verify; is_filtered: some are drawn from a part of the vocabulary.
    """

    draft: Draft | None
    counts: list[int]
    limits: Sequences[int]
    size: Size
    method: str
    is_plain: bool
    is_filtered: bool


def intend(
    sequences: Sequences[Sequence], limits: Sequences[int], proposer: Proposer, buckets: Sequences[int]
) -> Intent:
    """Drafts what the host must draft; what the device can is left to it."""
    batch = bucket(len(sequences), buckets)
    method = "greedy" if all(sequence.params.is_greedy for sequence in sequences) else proposer.sample_method
    is_plain = _is_plain(sequences, proposer)
    how = method, is_plain, any(sequence.params.is_filtered for sequence in sequences)
    # Samples of logits that more was done to, and what they were drawn from for rules of the host, are the host's.
    if (method == "greedy" or is_plain) and _is_fixed(proposer):
        fixed = proposer.fixed_limits(sequences, limits)
        if any(fixed) and cast(FixedProposer, proposer).host_ready(sequences, fixed):
            counts = [proposer.fixed_nodes(limit) for limit in fixed]
            return Intent(None, counts, fixed, size_of(batch, max(fixed), proposer), *how)
    draft = drafted(proposer, sequences, limits)
    return Intent(draft, list(draft.counts), limits, size_of(batch, max(draft.counts), proposer), *how)


def size_of(batch: int, deepest: int, proposer: Proposer) -> Size:
    """The shape for drafts of which the deepest has `deepest` levels, or nodes in a chain from the host.

    A method that drafts trees has the shape of the whole tree.
    """
    most = proposer.config.num_speculative_tokens or deepest
    if not deepest:
        return Size(batch, 0, 0, 0)
    if proposer.dynamic is not None:
        nodes = proposer.dynamic[1]
        return Size(batch, nodes, min(nodes, most), words_for(nodes))
    if proposer.tree is not None:
        nodes = len(proposer.tree)
        return Size(batch, nodes, proposer.tree.depth, words_for(nodes))
    nodes = max(min(node_bucket(deepest), most), deepest)
    return Size(batch, nodes, nodes, 0)


def sizes_to_warm(batch: int, depth: int, proposer: Proposer) -> list[Size]:
    """Every shape that drafts of up to `depth` levels can ask for."""
    return list(dict.fromkeys(size_of(batch, deepest, proposer) for deepest in range(depth + 1)))


def verdict_kind(intent: Intent, proposer: Proposer) -> str | None:
    """Which verdict the device gives; None: the host does."""
    if not intent.is_plain or (intent.draft is not None and intent.draft.probs is not None):
        return None
    if proposer.config.rejection_sample_method == "synthetic":
        return "synthetic"
    drew = intent.draft is None and intent.method == "probabilistic"
    return "target with q" if drew else "target"


def as_draft(intent: Intent, tokens: list[list[int]], parents: list[list[int]]) -> Draft:
    """What was drafted on the device, [sequences][N] each, as the host knows drafts."""
    kept = [row[:count] for row, count in zip(tokens, intent.counts, strict=True)]
    if not intent.size.words:
        return Draft.chains(kept)
    above = [parent for row, count in zip(parents, intent.counts, strict=True) for parent in row[:count]]
    return Draft([token for row in kept for token in row], intent.counts, above)


def shapes_of(intent: Intent, proposer: Proposer) -> list[Shape]:
    """[S] of every sequence's draft, whoever makes it."""
    if intent.draft is not None:
        return intent.draft.shapes
    if not intent.size.words:
        return [chain(count) for count in intent.counts]
    return [shape_of(tuple(tree_of(proposer).parents[:count])) for count in intent.counts]


def tree_of(proposer: Proposer) -> TokenTree:
    assert proposer.tree is not None, "only steps of trees have masks"
    return proposer.tree


def _is_fixed(proposer: Proposer) -> bool:
    """What synthetic acceptance forces needs a shape that the host knows."""
    is_synthetic = proposer.config.rejection_sample_method == "synthetic"
    return proposer.fixed_key is not None and not (is_synthetic and proposer.dynamic is not None)


def _is_plain(sequences: Sequences[Sequence], proposer: Proposer) -> bool:
    rule = proposer.config.rejection_sample_method or "standard"
    return rule in ON_DEVICE and all(sequence.params.is_plain for sequence in sequences)
