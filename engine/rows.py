"""The rows of a step: which tokens go through the target, whose logits are needed, and what became final."""

from collections.abc import Sequence as Sequences
from dataclasses import dataclass

from engine.draft import Draft, Seen, Verification
from engine.models.attention import Nodes, Span
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
    for sequence, count, shape in zip(batch.decoding, draft.counts, draft.shapes, strict=True):
        ids.append(sequence.tokens[-1])
        ids += draft.tokens[node : node + count]
        tree = None if shape.is_chain else Nodes(sequence.num_computed, shape.row_masks)
        short.append(Span(sequence.slot, sequence.num_computed, 1 + count, tree))
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
    """The rows of logits that belong to requests which change their logits, with the drafted tokens above each."""
    processed: list[Row] = []
    row = node = 0
    for sequence, shape, count in zip(sequences, draft.shapes, draft.counts, strict=True):
        if sequence.params.changes_logits:
            processed.append(Row(row, sequence, ()))
            for j, path in enumerate(shape.paths, start=1):
                processed.append(Row(row + j, sequence, [draft.tokens[node + above] for above in path]))
        row += count + 1
        node += count
    return processed


def seen_from(seen: Sequences[Seen], first_row: int) -> list[Seen]:
    """Of those whose rows begin there or later, with rows counted from there."""
    if not first_row:
        return list(seen)
    later = [found for found in seen if found.step_rows.start >= first_row]
    return [
        found._replace(
            rows=[row - first_row for row in found.rows],
            step_rows=range(found.step_rows.start - first_row, found.step_rows.stop - first_row),
        )
        for found in later
    ]


def seen_rows(batch: Batch, draft: Draft, verification: Verification) -> list[Seen]:
    """The rows of the step that are final, of the sequences that go on."""
    seen, row = [], 0
    for i, (sequence, drafted) in enumerate(zip(batch.decoding, draft.counts, strict=False)):
        if not sequence.finish_reason:
            rows = verification.rows(i, row)
            whole = range(row, row + 1 + drafted)
            seen.append(Seen(sequence, sequence.num_computed - len(rows), rows, False, whole))
        row += 1 + drafted
    for sequence, count in batch.prefilling:
        if not sequence.finish_reason:
            whole = range(row, row + count)
            seen.append(Seen(sequence, sequence.num_computed - count, whole, True, whole))
        row += count
    return seen
