"""The rows of a step: which tokens go through the target, whose logits are needed, and what became final."""

from collections.abc import Sequence as Sequences
from dataclasses import dataclass

from engine import noise
from engine.draft import Draft, Seen, Verification
from engine.models.attention import Span
from engine.sampler import Row
from engine.sequence import Batch, Sequence


@dataclass(frozen=True, slots=True)
class Rows:
    """Decoding rows (root, then drafted tokens) first, prompt chunks after.

    logits_rows  the rows at which a token may be chosen; None is all of them
    ready        the sequences whose prompt this step completes; they choose their first token
    """

    token_ids: list[int]
    short: list[Span]
    long: list[Span]
    logits_rows: list[int] | None
    ready: list[Sequence]


def build_rows(batch: Batch, draft: Draft) -> Rows:
    ids: list[int] = []
    short: list[Span] = []
    long: list[Span] = []
    ready: list[Sequence] = []
    node = 0
    for sequence, count in zip(batch.decoding, draft.counts, strict=True):
        ids.append(sequence.tokens[-1])
        ids += draft.tokens[node : node + count]
        short.append(Span(sequence.slot, sequence.num_computed, 1 + count))
        node += count
    if not batch.prefilling:
        return Rows(ids, short, long, None, ready)
    wanted = list(range(len(ids)))
    for sequence, count in batch.prefilling:
        start = sequence.num_computed
        ids += sequence.tokens[start : start + count]
        long.append(Span(sequence.slot, start, count))
        if count == sequence.num_pending:
            wanted.append(len(ids) - 1)
            ready.append(sequence)
    return Rows(ids, short, long, wanted, ready)


def rows_to_process(sequences: Sequences[Sequence], draft: Draft) -> list[Row]:
    """The rows of logits that belong to requests which change their logits, with the drafted tokens before each."""
    processed: list[Row] = []
    row = node = 0
    for sequence, count in zip(sequences, draft.counts, strict=True):
        if sequence.params.changes_logits:
            processed += [Row(row + j, sequence, draft.tokens[node : node + j]) for j in range(count + 1)]
        row += count + 1
        node += count
    return processed


def seen_rows(batch: Batch, draft: Draft, verification: Verification) -> list[Seen]:
    """The rows of the step that are final, of the sequences that go on."""
    seen, row = [], 0
    for sequence, drafted, accepted in zip(batch.decoding, draft.counts, verification.num_accepted, strict=False):
        if not sequence.finish_reason:
            count = 1 + accepted
            seen.append(Seen(sequence, sequence.num_computed - count, range(row, row + count), False))
        row += 1 + drafted
    for sequence, count in batch.prefilling:
        if not sequence.finish_reason:
            seen.append(Seen(sequence, sequence.num_computed - count, range(row, row + count), True))
        row += count
    return seen


def coins(sequences: Sequences[Sequence], draft: Draft) -> list[float]:
    """A coin for every drafted token, keyed by its request's seed and its position."""
    return [
        noise.coin(sequence.seed, len(sequence.tokens) + j)
        for sequence, count in zip(sequences, draft.counts, strict=True)
        for j in range(count)
    ]
