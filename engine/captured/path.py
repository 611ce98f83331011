"""A decoding step in a fixed shape: drafts, pass, verdict and what the draft takes in follow without the host.

The host waits once, for the verdict, while the draft takes in what became final. It drafts or verifies itself where a
method or a request asks for more than the graphs do (see `engine/drafting/fixed.py`, `SamplingParams.is_plain`).
"""

from collections.abc import Hashable
from collections.abc import Sequence as Sequences
from typing import NamedTuple, cast

import torch

from engine.captured import filling
from engine.captured.draft_graphs import DraftGraphs
from engine.captured.graphs import reserved_bytes
from engine.captured.intents import (
    Intent,
    as_draft,
    intend,
    shapes_of,
    sizes_to_warm,
    tree_of,
    verdict_kind,
)
from engine.captured.prompts import NOTHING, Prompts
from engine.captured.sizes import Size, batch_buckets, bucket
from engine.captured.static import Report
from engine.captured.target_step import Outputs, TargetStep
from engine.drafting.fixed import FixedProposer
from engine.laps import Laps
from engine.loading import Target
from engine.models.decoder import TargetOutput
from engine.models.fused_cache import FusedKVCache
from engine.outcome import Outcome
from engine.proposers.base import Proposer
from engine.ragged_path import verified
from engine.sequence import Batch, Sequence
from engine.speculative_config import SpeculativeConfig
from engine.tree.shape import Shape
from engine.verification import Verifier, forced_paths, synthetic_rates


class CapturedStats(NamedTuple):
    """Steps that were run so, shapes of the target's step and of prompts', and the GPU memory that the former took."""

    num_steps: int = 0
    num_shapes: int = 0
    num_prompt_shapes: int = 0
    graph_bytes: int = 0


class CapturedPath:
    """Steps by their size and what is tapped; graphs of methods by what distinguishes them. Kept for good."""

    def __init__(self, target: Target, cache: FusedKVCache, max_num_seqs: int, max_batched: int):
        self._target, self._cache = target, cache
        self._prompts = Prompts(target, cache, max_batched)
        self._buckets = batch_buckets(max_num_seqs)
        self._outputs, self._pool = Outputs(target), self._prompts.pool
        self._report = Report(target.device)
        self._steps: dict[tuple[Size, tuple[int, ...]], TargetStep] = {}
        self._drafts: dict[tuple[TargetStep, Hashable], DraftGraphs] = {}
        self._rates: tuple[SpeculativeConfig, list[float]] | None = None
        self.graph_bytes = 0
        self.num_steps = 0

    @property
    def stats(self) -> CapturedStats:
        return CapturedStats(self.num_steps, len(self._steps), self._prompts.num_shapes, self.graph_bytes)

    def takes(self, batch: Batch) -> bool:
        """Steps that only decode; of the others those whose chunks have a shape, where nobody wants logprobs."""
        return not batch.prefilling or self._prompts.take(batch)

    def run(self, batch: Batch, limits: Sequences[int], proposer: Proposer, verifier: Verifier, laps: Laps) -> Outcome:
        self.num_steps += 1
        laps.begin()
        decoded = self._decode(batch.decoding, limits, proposer, verifier, laps) if batch.decoding else NOTHING
        return self._prompts.run(batch, decoded, proposer.taps, verifier, laps) if batch.prefilling else decoded

    def _decode(
        self,
        sequences: list[Sequence],
        limits: Sequences[int],
        proposer: Proposer,
        verifier: Verifier,
        laps: Laps,
    ) -> Outcome:
        intent = intend(sequences, limits, proposer, self._buckets)
        step = self.step(intent.size, proposer)
        self._fill(step, sequences, intent, proposer)
        if intent.draft is None:
            self._propose(step, sequences, intent, proposer)
        laps.lap("draft")
        step.forward.run()
        laps.lap("target")
        kind = verdict_kind(intent, proposer)
        if kind is None:
            return self._verified_by_the_host(step, sequences, intent, proposer, verifier, laps)
        step.judge(kind, intent.is_filtered).run()
        step.compact()
        self._report.fetch(step.verdict.whole)
        laps.lap("verify")
        takes_in = self._take_in(step, proposer)
        laps.lap("draft")
        verification, *drafted = step.verdict.read(self._report.wait(), len(sequences))
        draft = intent.draft or as_draft(intent, *drafted)
        output = None if takes_in else self._ragged(step, intent.counts, with_logits=False)
        num_rows = len(sequences) + sum(intent.counts)
        return Outcome(draft, verification, [], num_rows, None, output, True, 0 if output else num_rows)

    def step(self, size: Size, proposer: Proposer) -> TargetStep:
        """The target's step of this size, made when first asked for."""
        key = size, tuple(proposer.taps)
        if key not in self._steps:
            before = reserved_bytes(self._target.device)
            given = (self._target, self._cache, self._outputs, self._pool)
            self._steps[key] = TargetStep(size, proposer.taps, *given)
            self.graph_bytes += reserved_bytes(self._target.device) - before
        return self._steps[key]

    def graphs(self, step: TargetStep, proposer: Proposer) -> DraftGraphs:
        """Those of a proposer that drafts in fixed shapes."""
        key = step, proposer.fixed_key
        if key not in self._drafts:
            fixed = cast(FixedProposer, proposer)
            self._drafts[key] = DraftGraphs(fixed, proposer.tree, proposer.dynamic, step, self._pool)
        return self._drafts[key]

    def forget_drafts(self) -> None:
        """Let go of the graphs of all methods, and of what they hold."""
        self._drafts.clear()

    @torch.inference_mode()
    def warm_up(self, most: int, depth: int, proposer: Proposer) -> None:
        """Make and run every step of up to `most` sequences with drafts of up to `depth` levels, with nobody there."""
        batches = [size for size in self._buckets if size <= bucket(most, self._buckets)]
        sizes = [size for batch in batches for size in sizes_to_warm(batch, depth, proposer)]
        for size in sorted(sizes, key=lambda size: -size.num_rows):  # the largest makes the memory that all share
            self._warm(self.step(size, proposer), proposer)
        self._prompts.warm_up(proposer.taps)

    def _warm(self, step: TargetStep, proposer: Proposer) -> None:
        filling.blank(step.inputs, self._cache.num_slots)
        step.inputs.send()
        if proposer.fixed_key is not None and step.size.nodes:
            self.graphs(step, proposer).propose("greedy", filtered=False)
            for filtered in (False, True) if proposer.sample_method != "greedy" else ():
                self.graphs(step, proposer).propose(proposer.sample_method, filtered)
        step.forward.run()
        kinds = ["synthetic" if proposer.config.rejection_sample_method == "synthetic" else "target"]
        for kind in kinds + (["target with q"] if step.q is not None else []):
            for filtered in (False, True):
                step.judge(kind, filtered).run()
        step.compact()
        if proposer.fixed_key is not None and proposer.takes_in:
            self.graphs(step, proposer).take_in()

    def _fill(self, step: TargetStep, sequences: Sequences[Sequence], intent: Intent, proposer: Proposer) -> None:
        filling.fill(step.inputs, sequences, intent.counts, intent.limits, self._cache.num_slots)
        draft = intent.draft
        if intent.is_filtered:
            filling.fill_filters(step.inputs, sequences)
        if draft is not None:
            filling.fill_tokens(step.inputs, draft.tokens, intent.counts)
        if draft is not None and step.size.words:
            filling.fill_trees(step.inputs, [shape.parents for shape in draft.shapes])
        elif step.size.words and proposer.dynamic is None:
            filling.fill_trees(step.inputs, [tuple(tree_of(proposer).parents)] * len(sequences))
        if proposer.config.rejection_sample_method == "synthetic":
            self._force(step, sequences, shapes_of(intent, proposer), proposer)
        step.inputs.send()

    def _force(
        self, step: TargetStep, sequences: Sequences[Sequence], shapes: Sequences[Shape], proposer: Proposer
    ) -> None:
        """Synthetic acceptance is the same whatever is drafted, so the host tells it beforehand."""
        paths = forced_paths(sequences, shapes, self._rates_of(proposer.config))
        host = step.inputs.host
        host["forced"][:] = 0
        for i, path in enumerate(paths):
            host["forced"][i], host["forced_paths"][i, : len(path)] = len(path), path

    def _rates_of(self, config: SpeculativeConfig) -> list[float]:
        if self._rates is None or self._rates[0] is not config:
            self._rates = config, synthetic_rates(config)
        return self._rates[1]

    def _propose(self, step: TargetStep, sequences: Sequences[Sequence], intent: Intent, proposer: Proposer) -> None:
        self.graphs(step, proposer).propose(intent.method, intent.method != "greedy" and intent.is_filtered)
        cast(FixedProposer, proposer).host_drafted(sequences, step.size.batch, step.size.depth)

    def _take_in(self, step: TargetStep, proposer: Proposer) -> bool:
        if proposer.fixed_key is None or not proposer.takes_in:
            return False
        self.graphs(step, proposer).take_in()
        cast(FixedProposer, proposer).host_taken_in(step.size.batch * (1 + step.size.depth))
        return True

    def _verified_by_the_host(
        self,
        step: TargetStep,
        sequences: list[Sequence],
        intent: Intent,
        proposer: Proposer,
        verifier: Verifier,
        laps: Laps,
    ) -> Outcome:
        draft = intent.draft
        if draft is None:
            given, used = step.inputs.device, len(sequences)
            draft = as_draft(intent, given["tokens"][:used, 1:].tolist(), given["parents"][:used].tolist())
        output = self._ragged(step, intent.counts, with_logits=True)
        eos = self._target.config.eos_token_ids
        verification, raw = verified(sequences, draft, output.logits, eos, verifier)
        laps.lap("verify")
        return Outcome(draft, verification, [], len(sequences) + sum(intent.counts), raw, output)

    def _ragged(self, step: TargetStep, counts: Sequences[int], with_logits: bool) -> TargetOutput:
        """The rows that count, one sequence's after another's, as the host's side of a step has them."""
        width = step.size.q_len
        rows = [i * width + j for i, count in enumerate(counts) for j in range(1 + count)]
        logits, taps = step.output.logits, step.output.taps
        if len(rows) < step.size.num_rows and (taps or with_logits):
            index = torch.tensor(rows, device=logits.device)
            taps = {boundary: states.index_select(0, index) for boundary, states in taps.items()}
            logits = logits.index_select(0, index) if with_logits else logits
        return TargetOutput(logits, taps)
