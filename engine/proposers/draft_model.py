"""A smaller model of the same vocabulary drafts on its own, from tokens alone.

It is fed every token that became final and was not yet fed, the newly sampled one included, at its true position. After
a fully accepted draft that is two tokens: the last drafted one was sampled but never fed.
"""

from collections.abc import Hashable, Mapping
from collections.abc import Sequence as Sequences
from typing import Any

import torch
from torch import Tensor

from engine.draft import Seen
from engine.drafting.chains import Stepper
from engine.drafting.fixed import Roots, Verified
from engine.drafting.host import Host
from engine.drafting.level import DraftLevel
from engine.drafting.trained import TrainedProposer
from engine.models.attention import Span
from engine.models.config import read_config
from engine.models.decoder import Decoder, TargetOutput
from engine.models.draft_decoder import load_draft_decoder
from engine.models.fixed_rows import FixedRows
from engine.models.kv_cache import KVCache
from engine.sequence import Sequence
from engine.speculative_config import SpeculativeConfig


class DraftModelProposer(TrainedProposer):
    def __init__(self, config: SpeculativeConfig, host: Host):
        super().__init__(config, host)
        # Of the cache, which serves every max_model_len that may be given later.
        length = min(self.max_model_len, read_config(self.folder).max_position_embeddings)
        key = (type(self), str(self.folder))
        self._decoder: Decoder = host.keep(key, lambda: load_draft_decoder(self.folder, host, length))
        size = (self._decoder.config, host.num_slots, length, host.target.dtype, host.target.device)
        self._cache = host.keep((*key, "cache"), lambda: KVCache(*size, budget=host.kv_cache_tokens))
        self._num_cached = [0] * host.num_slots  # positions of a slot's sequence that the draft's cache holds

    @classmethod
    def can_split(cls, raw: Mapping[str, Any]) -> bool:
        return True

    def observe(self, seen: Sequences[Seen], output: TargetOutput) -> None:
        """Forget rejected tokens; take in prompt chunks as they come, so that no step has a whole prompt to do."""
        chunks: list[Span] = []
        ids: list[int] = []
        for sequence, start, rows, is_prompt, _ in seen:
            final = min(start + len(rows), self.draft_len)
            if is_prompt and start < final:
                chunks.append(Span(sequence.slot, start, final - start))
                ids += sequence.tokens[start:final]
                self._num_cached[sequence.slot] = final
            else:
                self._num_cached[sequence.slot] = min(self._num_cached[sequence.slot], final)
        if chunks:
            self._decoder.forward(ids, [], chunks, self._cache, [])

    def release(self, slot: int) -> None:
        self._num_cached[slot] = 0
        self._cache.release(slot)

    def stepper(self, sequences: Sequences[Sequence]) -> "DecoderStepper":
        """Feed what is missing up to the newest token; its logits are those of the first drafted one."""
        spans, ids, last = [], [], []
        for sequence in sequences:
            start = self._num_cached[sequence.slot]
            spans.append(Span(sequence.slot, start, len(sequence.tokens) - start))
            ids += sequence.tokens[start:]
            last.append(len(ids) - 1)
        logits = self._decoder.forward(ids, spans, [], self._cache, last).logits
        for sequence in sequences:
            self._num_cached[sequence.slot] = len(sequence.tokens)
        return DecoderStepper(self, logits)

    def fixed_kind(self) -> Hashable | None:
        return type(self), str(self.folder), self.config.quantization, str(self.tree)

    def fixed_stepper(self, roots: Roots) -> "DecoderStepper":
        """See FixedProposer: the newest token and the one before it, whether that was missing or not."""
        tokens = torch.stack([roots.before, roots.tokens], 1).flatten()
        logits = self._fed(tokens, roots.shifted(-1).chain(2))
        return DecoderStepper(self, logits[1::2])

    def take_in(self, roots: Roots, verified: Verified, output: TargetOutput, num_rows: int) -> None:
        """It reads tokens alone: `observe` forgets rejected ones, on the host."""

    def host_ready(self, sequences: Sequences[Sequence], limits: Sequences[int]) -> bool:
        """Where at most the two newest tokens are missing."""
        pairs = zip(sequences, limits, strict=True)
        return all(len(s.tokens) - self._num_cached[s.slot] <= 2 for s, limit in pairs if limit > 0)

    def host_drafted(self, sequences: Sequences[Sequence], batch: int, depth: int) -> None:
        """What it was fed stays cached: the newest token, and of a chain all drafted ones but the last."""
        for sequence in sequences:
            length = len(sequence.tokens)
            if length - self._num_cached[sequence.slot] <= 2:
                fed = length + (depth - 1 if self.tree is None else 0)
                self._num_cached[sequence.slot] = min(fed, self._cache.max_model_len)

    def _fed(self, tokens: Tensor, rows: FixedRows) -> Tensor:
        x, _ = self._decoder.states(tokens, rows, [], self._cache)
        return self._decoder.head(x).float()

    def feed(self, tokens: Tensor, level: DraftLevel) -> Tensor:
        """Logits [R, V] after the tokens of a level. Those of a chain stay cached where they are accepted."""
        spans = level.spans(0)
        if not isinstance(spans, Sequences):
            return self._fed(tokens, spans)
        for span in spans:
            if span.tree is None:
                self._num_cached[span.slot] = span.start + 1
        return self._decoder.forward(tokens, spans, [], self._cache).logits


class DecoderStepper(Stepper):
    """The draft loop's view of the decoder."""

    def __init__(self, proposer: DraftModelProposer, logits: Tensor):
        self._proposer, self._logits = proposer, logits

    def logits(self) -> Tensor:
        return self._logits

    def narrow(self, keep: Tensor) -> None:
        """Nothing is carried but the cache."""

    def feed(self, tokens: Tensor, level: DraftLevel) -> None:
        self._logits = self._proposer.feed(tokens, level)


PROPOSER = DraftModelProposer
