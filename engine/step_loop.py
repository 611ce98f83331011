"""The step and what it works on: schedule, draft, target, verify, commit. Knows no method by name, and no callers."""

import itertools
from collections.abc import Mapping
from operator import lt
from typing import TYPE_CHECKING, Any

import torch

from engine.blocks import Budget
from engine.captured import captured_path, graph_reserve
from engine.control import Control
from engine.drafting.host import Host
from engine.drafting.kept import Proposers
from engine.errors import ConfigError, EngineError
from engine.laps import PARTS, clock, laps_for
from engine.loading import Target
from engine.logprobs import token_logprobs
from engine.metrics.watching import Watching
from engine.models.kernel_choice import cache_type
from engine.outcome import Outcome
from engine.outputs import RequestOutput
from engine.proposers import resolve
from engine.ragged_path import RaggedPath
from engine.rows import seen_from, seen_rows
from engine.scheduler import Scheduler
from engine.sequence import Batch, Sequence
from engine.speculative_config import SpeculativeConfig
from engine.stats import SpecDecodingStats, StepTimings
from engine.step_stats import StepsByBatch
from engine.stopping import StopChecker
from engine.text import Text
from engine.verification import build_verifier

if TYPE_CHECKING:
    from engine.captured.path import CapturedStats

SpecConfigLike = SpeculativeConfig | Mapping[str, Any] | None


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
        enforce_eager: bool = True,
    ):
        self._target = target
        self._text = text
        self._seed = seed
        self._budget = Budget(kv_cache_tokens, max_num_seqs, target.max_model_len)
        size = (max_num_seqs, target.max_model_len, target.dtype, target.device)
        reserve = 0 if enforce_eager else graph_reserve(target, max_num_seqs)
        self._cache = cache_type(target.kernels)(target.config, *size, budget=kv_cache_tokens, reserve=reserve)
        self._ragged = RaggedPath(target, self._cache)
        self._captured = None if enforce_eager else captured_path(target, self._cache, max_num_seqs, max_batched)
        self._laps = laps_for(target.device)
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
        if config.enforce_eager is False and self._captured is None:
            raise ConfigError("enforce_eager=False of a draft is not allowed where the engine is eager: leave it out")
        self.speculative_config = config
        self._proposer = self._proposers.use(config)
        self._verifier = build_verifier(config)
        self._reset_counters()

    def forget_drafts(self) -> None:
        """No speculation, and no weights or caches of drafts are kept for later. Only while idle."""
        self.configure_speculation(None)
        self._proposers.forget(self._proposer)
        if self._captured is not None:
            self._captured.forget_drafts()

    @torch.inference_mode()
    def step(self) -> list[RequestOutput]:
        """One step of every running sequence; returns the requests that finished in it."""
        t0 = clock()
        batch = self._scheduler.schedule(t0)
        for slot in batch.freed:
            self._proposer.release(slot)
        if not batch.decoding and not batch.prefilling:
            return []
        path = self._captured if self._captured is not None and self._captured.takes(batch) else self._ragged
        outcome = path.run(batch, self._limits(batch), self._proposer, self._verifier, self._laps)
        self.control.observe(batch.decoding, outcome.draft, outcome.verification)
        finished = self._commit(batch, outcome, clock())
        if outcome.output is not None:
            self._laps.begin()
            seen = seen_rows(batch, outcome.draft, outcome.verification)
            self._proposer.observe(seen_from(seen, outcome.first_row), outcome.output)
            self._laps.lap("draft")
        self._count(batch, outcome, t0)
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

    @property
    def captured_stats(self) -> "CapturedStats | None":
        """What was run in fixed shapes; None for an engine that does not."""
        return None if self._captured is None else self._captured.stats

    def has_unfinished_requests(self) -> bool:
        return not self._scheduler.is_idle

    def _limits(self, batch: Batch) -> list[int]:
        """How many levels each decoding sequence may draft now."""
        wanted = self.control.limits(batch.decoding, self.num_running, self.kv_cache_usage)
        limits = self._scheduler.cut(batch.decoding, wanted, self._proposer.num_rows)
        self.timing.num_drafts_cut += sum(map(lt, limits, wanted))
        return limits

    def _count(self, batch: Batch, outcome: Outcome, begin: float) -> None:
        """`other` is what no pass took: scheduling and commit, and on a GPU the time that it had nothing to do."""
        now, spent = clock(), self._laps.settle()
        draft, target, verify = (spent.get(part, 0.0) for part in PARTS)
        self.timing.count_step(outcome.num_rows, draft, target, verify, now - begin - draft - target - verify)
        self.timing.count_batch(batch.num_prompt_tokens, len(batch.freed))
        self.steps_by_batch.count_step(batch, outcome.draft, outcome.verification, now - begin)
        self._watching.tick(now, self.num_running, self.num_waiting, self.speculative_config.output_law)

    def _commit(self, batch: Batch, outcome: Outcome, now: float) -> list[RequestOutput]:
        """Extend the sequences by what was emitted, move their cache lengths, and end those that stopped."""
        draft, verification = outcome.draft, outcome.verification
        sequences, row = batch.decoding + outcome.ready, 0
        self._keep_accepted(batch.decoding, outcome)
        for i, sequence in enumerate(sequences):
            kept = self._stops.extend(sequence, verification.emitted[i])
            sequence.metrics.deliver(now, kept)
            self.timing.count_output(kept, decoding=i < len(batch.decoding))
            if sequence.params.logprobs is not None:
                assert outcome.raw_logits is not None, "kept where a request asks for them"
                chosen, logits = sequence.tokens[-kept:], outcome.raw_logits[verification.rows(i, row)[:kept]]
                sequence.logprobs += token_logprobs(logits, chosen, sequence.params.logprobs)
            row += 1 + draft.counts[i]
        return [self._finish(sequence, now) for sequence in sequences if sequence.finish_reason]

    def _keep_accepted(self, sequences: list[Sequence], outcome: Outcome) -> None:
        """Cache the accepted nodes as the positions they turned out to be, and count what became of the drafts."""
        draft, verification = outcome.draft, outcome.verification
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
        if not outcome.is_compacted:
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
