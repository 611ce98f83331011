"""The step and what it works on: schedule, draft, target, verify, commit. Knows no method by name, and no callers."""

import itertools
import time
from collections.abc import Mapping
from operator import lt
from typing import Any

import torch
from torch import Tensor

from engine import sampler
from engine.blocks import Budget
from engine.control import Control
from engine.draft import Draft, Verification
from engine.drafting.host import Host
from engine.drafting.kept import Proposers
from engine.errors import ConfigError, EngineError
from engine.loading import Target
from engine.logprobs import token_logprobs
from engine.metrics.watching import Watching
from engine.models.decoder import TargetOutput
from engine.models.kernel_choice import cache_type
from engine.outputs import RequestOutput
from engine.proposers import resolve
from engine.rows import Rows, build_rows, rows_to_process, seen_rows
from engine.scheduler import Scheduler
from engine.sequence import Batch, Sequence
from engine.speculative_config import SpeculativeConfig
from engine.stats import SpecDecodingStats, StepTimings
from engine.step_stats import StepsByBatch
from engine.stopping import StopChecker
from engine.text import Text
from engine.verification import build_verifier

SpecConfigLike = SpeculativeConfig | Mapping[str, Any] | None
clock = time.perf_counter


class StepLoop:
    """Running and waiting requests of one target and one drafting method. `step` is the whole algorithm."""

    def __init__(
        self,
        target: Target,
        text: Text,
        speculative_config: SpecConfigLike,
        max_num_seqs: int,
        max_batched: int,
        seed: int,
        kv_cache_tokens: int | None = None,
        watching: Watching | None = None,
    ):
        self._target = target
        self._text = text
        self._seed = seed
        self._budget = Budget(kv_cache_tokens, max_num_seqs, target.max_model_len)
        size = (max_num_seqs, target.max_model_len, target.dtype, target.device)
        self._cache = cache_type(target.kernels)(target.config, *size, budget=kv_cache_tokens)
        self._scheduler = Scheduler(self._cache, max_batched, self._budget)
        self._stops = StopChecker(target.config.eos_token_ids, lambda: text.backend)
        self._ids = itertools.count()
        self._proposers = Proposers(Host(target, max_num_seqs, kv_cache_tokens))
        self._watching = watching or Watching()
        self.configure_speculation(speculative_config)

    def configure_speculation(self, speculative_config: SpecConfigLike) -> None:
        """Change how drafts are made, without reloading the target. Only while idle; statistics start anew.

        What a method remembers of earlier requests is kept per config until `reset`.
        """
        self._must_be_idle("configure_speculation")
        config = resolve(speculative_config, self._target.facts)
        most = self.max_model_len - 1
        if config.num_speculative_tokens and config.num_speculative_tokens > most:
            raise ConfigError(
                f"num_speculative_tokens={config.num_speculative_tokens} is above max_model_len - 1 = {most}"
            )
        self.speculative_config = config
        self._proposer = self._proposers.use(config)
        self._verifier = build_verifier(config)
        self._reset_counters()

    def forget_drafts(self) -> None:
        """No speculation, and no weights or caches of drafts are kept for later. Only while idle."""
        self.configure_speculation(None)
        self._proposers.forget(self._proposer)

    @torch.inference_mode()
    def step(self) -> list[RequestOutput]:
        """One step of every running sequence; returns the requests that finished in it."""
        t0 = clock()
        batch = self._scheduler.schedule(t0)
        for slot in batch.freed:
            self._proposer.release(slot)
        if not batch.decoding and not batch.prefilling:
            return []
        t1 = clock()
        draft = self._draft(batch)
        t2 = clock()
        rows = build_rows(batch, draft)
        output = self._forward(rows)
        t3 = clock()
        batch.advance_prompts()
        draft = draft.with_empty(len(rows.ready))
        verification = self._verify(batch.decoding + rows.ready, draft, output.logits)
        self.control.observe(batch.decoding, draft, verification)
        t4 = clock()
        finished = self._commit(batch, rows.ready, draft, verification, t4)
        t5 = clock()
        self._proposer.observe(seen_rows(batch, draft, verification), output)
        t6 = clock()
        self.timing.count_step(len(rows.token_ids), t2 - t1 + t6 - t5, t3 - t2, t4 - t3, t5 - t4 + t1 - t0)
        self.timing.count_batch(batch.num_prompt_tokens, len(batch.freed))
        self.steps_by_batch.count_step(batch, draft, verification, t6 - t0)
        self._watching.tick(t6, self.num_running, self.num_waiting, self.speculative_config.output_law)
        return finished

    @property
    def max_model_len(self) -> int:
        return self._target.max_model_len

    @property
    def num_running(self) -> int:
        return len(self._scheduler.running)

    @property
    def num_waiting(self) -> int:
        return len(self._scheduler.waiting)

    @property
    def kv_cache_usage(self) -> float:
        """The share of cache positions in use by running requests, from 0 to 1, drafts not counted."""
        return self._scheduler.usage

    @property
    def num_preemptions(self) -> int:
        """How often a running request had to make room for others, since the counters were reset."""
        return self.timing.num_preemptions

    @property
    def num_drafts_cut(self) -> int:
        """How many drafts were made shorter, or not at all, because the cache had no room for them."""
        return self.timing.num_drafts_cut

    @property
    def num_draft_rows(self) -> int:
        """How many rows a draft head (EAGLE, MTP) computed; more where its batches are padded."""
        return self._proposer.num_draft_rows

    def has_unfinished_requests(self) -> bool:
        return not self._scheduler.is_idle

    def _draft(self, batch: Batch) -> Draft:
        wanted = self.control.limits(batch.decoding, self.num_running, self.kv_cache_usage)
        limits = self._scheduler.cut(batch.decoding, wanted, self._proposer.num_rows)
        self.timing.num_drafts_cut += sum(map(lt, limits, wanted))
        return self._proposer.propose(batch.decoding, limits) if any(limits) else Draft.empty(len(limits))

    def _forward(self, rows: Rows) -> TargetOutput:
        decoder = self._target.decoder
        return decoder.forward(
            rows.token_ids, rows.short, rows.long, self._cache, rows.logits_rows, self._proposer.taps
        )

    def _verify(self, sequences: list[Sequence], draft: Draft, logits: Tensor) -> Verification:
        processed = rows_to_process(sequences, draft)
        wants_raw = any(sequence.params.logprobs is not None for sequence in sequences)
        self._raw_logits = logits.clone() if processed and wants_raw else logits
        choices, sampled = sampler.choose(logits, processed, self._target.config.eos_token_ids)
        return self._verifier(sequences, draft, choices, sampled)

    def _commit(
        self,
        batch: Batch,
        ready: list[Sequence],
        draft: Draft,
        verification: Verification,
        now: float,
    ) -> list[RequestOutput]:
        """Extend the sequences by what was emitted, move their cache lengths, and end those that stopped."""
        sequences, row = batch.decoding + ready, 0
        self._keep_accepted(batch.decoding, draft, verification)
        for i, sequence in enumerate(sequences):
            kept = self._stops.extend(sequence, verification.emitted[i])
            sequence.metrics.deliver(now, kept)
            self.timing.count_output(kept, decoding=i < len(batch.decoding))
            if sequence.params.logprobs is not None:
                chosen, logits = sequence.tokens[-kept:], self._raw_logits[verification.rows(i, row)[:kept]]
                sequence.logprobs += token_logprobs(logits, chosen, sequence.params.logprobs)
            row += 1 + draft.counts[i]
        return [self._finish(sequence, now) for sequence in sequences if sequence.finish_reason]

    def _keep_accepted(self, sequences: list[Sequence], draft: Draft, verification: Verification) -> None:
        """Cache the accepted nodes as the positions they turned out to be, and count what became of the drafts."""
        moves, first = [], 0
        is_static = self.speculative_config.speculative_token_tree is not None
        for i, (sequence, shape) in enumerate(zip(sequences, draft.shapes, strict=False)):
            path, drafted = verification.path(i), len(shape.parents)
            if not shape.is_chain:
                moves.append((sequence.slot, sequence.num_computed + 1, path))
            if is_static or not shape.is_chain:
                nodes = draft.nodes[first : first + drafted] if draft.nodes is not None else None
                self.stats.observe_tree(shape.parents, path, nodes)
            first += drafted
            if drafted:
                self.stats.observe_draft(drafted, len(path), shape.depth)
                sequence.metrics.count_draft(drafted, len(path), shape.depth)
            sequence.num_computed += 1 + len(path)
        self._cache.compact(moves)

    def _finish(self, sequence: Sequence, now: float) -> RequestOutput:
        sequence.metrics.finished_time = now
        self._scheduler.remove(sequence)
        if sequence.slot >= 0:
            self._proposer.release(sequence.slot)
        self._proposer.stop(sequence)
        self.control.stop(sequence)
        self._watching.totals.count_request(sequence)
        text = self._text.decode(sequence.output_token_ids)
        return sequence.output(self._stops.cut_text(sequence, text))

    def _reset_counters(self) -> None:
        self.control = Control(self.speculative_config, self._cache.num_slots)
        self.stats = SpecDecodingStats(self.speculative_config.num_speculative_tokens or 0)
        self.timing = StepTimings()
        self._watching.totals.follow(self.stats, self.timing)
        self.steps_by_batch = StepsByBatch()

    def _must_be_idle(self, what: str) -> None:
        if not self._scheduler.is_idle:
            raise EngineError(f"{what} needs an idle engine: {self.num_running} requests run, {self.num_waiting} wait")
