"""Chunks of prompts beside a captured step: a pass each, since a graph of both would need every pair of sizes."""

from collections.abc import Sequence as Sequences
from dataclasses import replace

import torch

from engine.captured.graphs import new_pool
from engine.captured.prompt_step import PromptStep, prompt_buckets
from engine.captured.sizes import bucket
from engine.draft import Draft, Verification
from engine.laps import Laps
from engine.loading import Target
from engine.models.decoder import TargetOutput
from engine.models.fused_cache import FusedKVCache
from engine.outcome import Outcome
from engine.ragged_path import verified
from engine.sequence import Batch
from engine.verification import Verifier

NOTHING = Outcome(Draft.empty(0), Verification([], []), [], 0, None, None, is_compacted=True)


class Prompts:
    """Steps by their rows and what is tapped."""

    def __init__(self, target: Target, cache: FusedKVCache, max_batched: int):
        self._target, self._cache = target, cache
        self._buckets = prompt_buckets(max_batched)
        self.pool = new_pool(target.device)
        self._steps: dict[tuple[int, tuple[int, ...]], PromptStep] = {}

    @property
    def num_shapes(self) -> int:
        return len(self._steps)

    def take(self, batch: Batch) -> bool:
        everybody = (*batch.decoding, *(sequence for sequence, _ in batch.prefilling))
        fit = all(count <= self._buckets[-1] for _, count in batch.prefilling)
        return fit and all(sequence.params.logprobs is None for sequence in everybody)

    def warm_up(self, taps: Sequences[int]) -> None:
        for rows in self._buckets:
            self._step(rows, taps)

    def run(self, batch: Batch, decoded: Outcome, taps: Sequences[int], verifier: Verifier, laps: Laps) -> Outcome:
        """All chunks, then the first token of those that are complete, chosen on the host; and what was decoded."""
        found = [self._step(count, taps).run(sequence, count) for sequence, count in batch.prefilling]
        laps.lap("target")
        last = [i for i, (sequence, count) in enumerate(batch.prefilling) if count == sequence.num_pending]
        ready = [batch.prefilling[i][0] for i in last]
        batch.advance_prompts()
        first = Verification([], [])
        if ready:
            logits = torch.cat([found[i].logits for i in last])
            eos = self._target.config.eos_token_ids
            first, _ = verified(ready, Draft.empty(len(ready)), logits, eos, verifier)
        laps.lap("verify")
        before = [decoded.output] if decoded.output is not None else []
        output = TargetOutput(
            found[0].logits, {b: torch.cat([each.taps[b] for each in (*before, *found)]) for b in taps}
        )
        return replace(
            decoded,
            draft=decoded.draft.with_empty(len(ready)),
            verification=_joined(decoded.verification, first),
            ready=ready,
            num_rows=decoded.num_rows + batch.num_prompt_tokens,
            output=output,
        )

    def _step(self, count: int, taps: Sequences[int]) -> PromptStep:
        key = bucket(count, self._buckets), tuple(taps)
        if key not in self._steps:
            self._steps[key] = PromptStep(key[0], taps, self._target, self._cache, self.pool)
        return self._steps[key]


def _joined(decoded: Verification, first: Verification) -> Verification:
    """The second without drafts."""
    paths = None if decoded.paths is None else [*decoded.paths, *([] for _ in first.emitted)]
    return Verification([*decoded.num_accepted, *first.num_accepted], [*decoded.emitted, *first.emitted], paths)
