"""A step as its batch comes: rows of any number, prompt chunks among them, verified on the host."""

from collections.abc import Callable
from collections.abc import Sequence as Sequences

from torch import Tensor

from engine import sampler
from engine.draft import Draft, Verification
from engine.laps import Laps
from engine.loading import Target
from engine.models.kv_cache import KVCache
from engine.outcome import Outcome
from engine.proposers.base import Proposer
from engine.rows import build_rows, rows_to_process
from engine.sequence import Batch, Sequence
from engine.verification import Verifier


class RaggedPath:
    """Draft, one pass of the target, verify."""

    def __init__(self, target: Target, cache: KVCache):
        self._target, self._cache = target, cache

    def run(self, batch: Batch, limits: Sequences[int], proposer: Proposer, verifier: Verifier, laps: Laps) -> Outcome:
        laps.begin()
        draft = drafted(proposer, batch.decoding, limits)
        laps.lap("draft")
        rows = build_rows(batch, draft)
        ids, spans = rows.token_ids, (rows.short, rows.long)
        output = self._target.decoder.forward(ids, *spans, self._cache, rows.logits_rows, proposer.taps)
        laps.lap("target")
        batch.advance_prompts()
        draft = draft.with_empty(len(rows.ready))
        sequences = batch.decoding + rows.ready
        verification, raw = verified(sequences, draft, output.logits, self._target.config.eos_token_ids, verifier)
        laps.lap("verify")
        return Outcome(draft, verification, rows.ready, len(ids), raw, output)


def drafted(proposer: Proposer, sequences: Sequences[Sequence], limits: Sequences[int]) -> Draft:
    """At most limits[i] levels for sequences[i]."""
    return proposer.propose(sequences, limits) if any(limits) else Draft.empty(len(limits))


def verified(
    sequences: list[Sequence],
    draft: Draft,
    logits: Tensor,
    eos_token_ids: Sequences[int],
    verifier: Callable[..., Verification],
) -> tuple[Verification, Tensor | None]:
    """On the host; and the logits [N + S, V] as they came, which are changed in place, where a request wants them."""
    processed = rows_to_process(sequences, draft)
    wants_raw = any(sequence.params.logprobs is not None for sequence in sequences)
    raw = (logits.clone() if processed else logits) if wants_raw else None
    choices, sampled = sampler.choose(logits, processed, eos_token_ids)
    return verifier(sequences, draft, choices, sampled), raw
