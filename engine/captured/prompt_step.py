"""A chunk of one prompt in a fixed shape: a chain of rows, of which the last one that counts has logits."""

from bisect import bisect_left
from collections.abc import Sequence as Sequences

import numpy as np
import torch

from engine.captured.graphs import Captured, Pool
from engine.captured.static import StaticInputs
from engine.loading import Target
from engine.models.decoder import TargetOutput
from engine.models.fixed_rows import Grid
from engine.models.fused_cache import FusedKVCache
from engine.sequence import Sequence

SMALL = (16, 32)
STRIDE = 64
LONGEST = 2048  # rows: longer chunks keep a GPU busy without a graph


def prompt_buckets(max_num_batched_tokens: int) -> list[int]:
    """16, 32, 64, 128, 192, ... and at least the longest chunk there can be, up to 2048."""
    most = min(max_num_batched_tokens, LONGEST)
    whole = [*SMALL, *range(STRIDE, most + STRIDE, STRIDE)]
    return whole[: bisect_left(whole, most) + 1]


class PromptStep:
    """`run` computes up to `rows` tokens of one sequence; what it returns is its own, and stays."""

    def __init__(self, rows: int, taps: Sequences[int], target: Target, cache: FusedKVCache, pool: Pool | None):
        self._decoder, self._cache = target.decoder, cache
        vectors = dict.fromkeys(("slots", "prefix", "lengths", "last"), (1,))
        self._inputs = StaticInputs(vectors | dict.fromkeys(("tokens", "rows", "positions"), (1, rows)), target.device)
        self._inputs.host["rows"][:] = -1
        self._inputs.send()
        width, dtype, device = target.config.hidden_size, target.dtype, target.device
        self._logits = torch.zeros(1, target.config.vocab_size, device=device)
        self._taps = {b: torch.zeros(rows, width, dtype=dtype, device=device) for b in taps}
        self._forward = Captured(self._pass, pool)

    def run(self, sequence: Sequence, count: int) -> TargetOutput:
        """The next `count` pending tokens: logits [1, V] of the last of them, taps [count, H]."""
        self._fill(sequence, count)
        self._inputs.send()
        self._forward.run()
        return TargetOutput(self._logits.clone(), {b: states[:count].clone() for b, states in self._taps.items()})

    def _fill(self, sequence: Sequence, count: int) -> None:
        self._inputs.settle()  # two chunks of a step may be of one shape
        host, start = self._inputs.host, sequence.num_computed
        offsets = np.arange(host["rows"].shape[1])
        host["tokens"][0, :count] = sequence.tokens[start : start + count]
        host["rows"][0] = np.where(offsets < count, start + offsets, -1)
        host["positions"][0] = start + offsets
        for name, value in (("slots", sequence.slot), ("prefix", start + 1), ("lengths", count), ("last", count - 1)):
            host[name][0] = value

    def _pass(self) -> None:
        given = self._inputs.device
        rows = Grid(given["slots"], given["rows"], given["positions"], given["prefix"], given["lengths"])
        x, kept = self._decoder.states(given["tokens"].flatten(), rows, [], self._cache, tuple(self._taps))
        self._logits.copy_(self._decoder.head(x.index_select(0, given["last"])))
        for boundary, states in self._taps.items():
            states.copy_(kept[boundary])
