"""The target's hidden states of every batch: computed once and kept where they fit, computed anew where not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from engine.errors import ConfigError
from engine.loading import Target
from engine.models.attention import Span
from engine.models.decoder import FINAL
from engine.models.kv_cache import KVCache
from engine.training.lessons import Lesson


class Features:
    """`get(i)` is batch i with hidden states; all of them stay in memory, in 16 bits, if `limit_bytes` allows."""

    def __init__(self, target: Target, batches: Sequence[Lesson], aux: Sequence[int], limit_bytes: float) -> None:
        self.target, self.batches, self.aux = target, batches, tuple(aux)
        self.dtype = target.dtype if target.dtype.itemsize == 2 else torch.float16
        self.cache = slots(target, batches)
        self.found: dict[int, Lesson] = {}
        self.fits = self.num_bytes <= limit_bytes

    @property
    def num_bytes(self) -> int:
        """What all hidden states take."""
        width = (1 + len(self.aux)) * self.target.config.hidden_size * self.dtype.itemsize
        return width * sum(batch.ids.numel() for batch in self.batches)

    def get(self, index: int) -> Lesson:
        if index not in self.found:
            made = self.compute(self.batches[index])
            if not self.fits:
                return made
            self.found[index] = made
        return self.found[index]

    @torch.no_grad()
    def compute(self, batch: Lesson) -> Lesson:
        """One pass of the target over the batch."""
        lengths = batch.lengths.tolist()
        ids = [token for row, length in zip(batch.ids.tolist(), lengths, strict=True) for token in row[:length]]
        spans = [Span(slot, 0, length) for slot, length in enumerate(lengths)]
        wanted = tuple(dict.fromkeys((*self.aux, FINAL)))
        taps = self.target.decoder.forward(ids, [], spans, self.cache, [0], wanted).taps
        found = {boundary: self.padded(taps[boundary], lengths) for boundary in wanted}
        aux = torch.cat([found[boundary] for boundary in self.aux], -1) if self.aux else None
        return replace(batch.to(self.target.device), hidden=found[FINAL], aux=aux)

    def padded(self, rows: Tensor, lengths: list[int]) -> Tensor:
        """[all tokens, H] -> [B, T, H]."""
        small = rows.to(self.dtype)
        if not torch.isfinite(small).all():
            raise ConfigError(f"a hidden state of the target does not fit {self.dtype}: load it with dtype=bfloat16")
        return pad_sequence(list(small.split(lengths)), batch_first=True)


def slots(target: Target, batches: Sequence[Lesson]) -> KVCache:
    """A cache for the largest batch."""
    rows = max(batch.ids.shape[0] for batch in batches)
    length = max(batch.ids.shape[1] for batch in batches)
    return KVCache(target.config, rows, length, target.dtype, target.device)
