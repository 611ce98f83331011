"""One fixed shape of the target's step: its inputs, and the graphs of the pass, the verdict and the compaction."""

from collections.abc import Sequence as Sequences

import torch
from torch import Tensor

from engine.captured.filling import blank, input_shapes
from engine.captured.graphs import Captured, Pool
from engine.captured.sizes import Size
from engine.captured.static import StaticInputs
from engine.captured.verdicts import Verdict, filter_rows, force, judge
from engine.drafting.fixed import Roots, Verified
from engine.loading import Target
from engine.models.decoder import TargetOutput
from engine.models.fixed_rows import Grid
from engine.models.fused_cache import FusedKVCache


class Outputs:
    """Where steps leave logits [rows, V], taps [rows, H] and q [rows, V]: one memory for all sizes."""

    def __init__(self, target: Target):
        self._target = target
        self._kept: dict[int | str, Tensor] = {}

    def logits(self, rows: int) -> Tensor:
        """The first rows; what was given out before stays valid. Of q and taps alike."""
        return self._rows("logits", rows, self._target.config.vocab_size, torch.float32)

    def q(self, rows: int) -> Tensor:
        return self._rows("q", rows, self._target.config.vocab_size, torch.float64)

    def tap(self, boundary: int, rows: int) -> Tensor:
        return self._rows(boundary, rows, self._target.config.hidden_size, self._target.dtype)

    def _rows(self, name: int | str, count: int, width: int, dtype: torch.dtype) -> Tensor:
        held = self._kept.get(name)
        if held is None or len(held) < count:
            held = self._kept[name] = torch.zeros(count, width, dtype=dtype, device=self._target.device)
        return held[:count]


class TargetStep:
    """`inputs` are filled and sent, then the graphs are run in the order forward, a verdict, compact.

    roots and rows are views of the inputs; logits, taps and verdict hold what the graphs last made.
    """

    def __init__(
        self, size: Size, taps: Sequences[int], target: Target, cache: FusedKVCache, outputs: Outputs, pool: Pool | None
    ):
        self.size = size
        self._decoder, self._cache, self._pool = target.decoder, cache, pool
        self.inputs = StaticInputs(input_shapes(size), target.device)
        blank(self.inputs, cache.num_slots)
        self.inputs.send()
        given = self.inputs.device
        self.roots = Roots(
            given["slots"], given["states"], given["tokens"][:, 0], given["before"], given["starts"],
            given["there"], given["seeds"], given["temperatures"],
        )  # fmt: skip
        self.logits = outputs.logits(size.num_rows)
        self.output = TargetOutput(self.logits, {b: outputs.tap(b, size.num_rows) for b in taps})
        self._outputs = outputs
        self.verdict = Verdict(size, target.device)
        self.q: Tensor | None = None
        self.forward = Captured(self._forward, pool)
        self._judges: dict[tuple[str, bool], Captured] = {}
        self.judge("target", False)
        self._compaction = Captured(self._compact, pool) if size.words else None

    def judge(self, kind: str, filtered: bool) -> Captured:
        """The verdict by kind: target, target with q, or synthetic; of logits that requests filter or not."""
        if (kind, filtered) not in self._judges:
            given = self.inputs.device

            def verdict() -> None:
                logits = self.logits.view(self.size.batch, self.size.q_len, -1)
                logits = filter_rows(logits, given) if filtered else logits
                self.verdict.write(self._found(kind, logits), given)

            self._judges[kind, filtered] = Captured(verdict, self._pool)
        return self._judges[kind, filtered]

    def compact(self) -> None:
        """Cache the accepted nodes as the positions that they turned out to be."""
        if self._compaction is not None:
            self._compaction.run()

    def keep_q(self, q: Tensor | None) -> None:
        """What drafts were drawn from [B, N, V], for the verdict with q."""
        if q is None:
            return
        if self.q is None:
            self.q = self._outputs.q(q.shape[0] * q.shape[1]).view(q.shape)
        self.q.copy_(q)

    def _forward(self) -> None:
        given, decoder = self.inputs.device, self._decoder
        slots, places, positions = given["slots"], given["rows"], given["positions"]
        rows = Grid(slots, places, positions, given["prefix"], given["lengths"], given.get("masks"))
        x, kept = decoder.states(given["tokens"].flatten(), rows, [], self._cache, tuple(self.output.taps))
        self.logits.copy_(decoder.head(x))
        for boundary, states in self.output.taps.items():
            states.copy_(kept[boundary])

    def _found(self, kind: str, logits: Tensor) -> Verified:
        given = self.inputs.device
        if kind == "synthetic":
            return force(logits, given)
        return judge(logits, given, self.size.depth, self.q if kind == "target with q" else None)

    def _compact(self) -> None:
        paths, _, accepted = self.verdict.verified
        base = (self.roots.slots * self._cache.slot_len + self.roots.starts + 1)[:, None]
        goal = base + torch.arange(paths.shape[1], device=paths.device)
        self._cache.move(base + paths.clamp_min(0), goal, accepted.clamp_min(0))
