"""The engine: schedule, draft, target, verify, commit. Knows no method by name, and nothing of studies."""

import itertools
import time
from collections.abc import Mapping
from collections.abc import Sequence as Sequences
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from engine import probes, sampler
from engine.blocks import Budget
from engine.control import Control
from engine.draft import Draft, Verification
from engine.drafting.host import Host
from engine.drafting.kept import Proposers
from engine.errors import ConfigError, EngineError
from engine.loading import Target, describe, load_target, target_facts
from engine.logprobs import token_logprobs
from engine.metrics.interval import IntervalLogger, check_interval
from engine.metrics.totals import Drafting, Reading, Totals
from engine.models.decoder import TargetOutput
from engine.models.kv_cache import KVCache
from engine.outputs import RequestOutput
from engine.proposers import resolve
from engine.requests import check_params, check_prompt, new_sequence, params_for
from engine.rows import Rows, build_rows, rows_to_process, seen_rows
from engine.sampling_params import SamplingParams
from engine.scheduler import Scheduler
from engine.sequence import Batch, Sequence
from engine.speculative_config import SpeculativeConfig, check_count
from engine.stats import SpecDecodingStats, StepTimings
from engine.step_stats import StepsByBatch
from engine.stopping import StopChecker
from engine.text import Text
from engine.verification import build_verifier

if TYPE_CHECKING:
    from engine.metrics.endpoint import Endpoint

SpecConfigLike = SpeculativeConfig | Mapping[str, Any] | None
Prompt = str | Sequences[int]
clock = time.perf_counter
LOCAL = "127.0.0.1"


class Engine:
    """A target model with a drafting method, serving requests in continuous batches.

    `step` is the whole algorithm; `generate` loops over it for those who have all their prompts at hand.
    """

    def __init__(
        self,
        target: Target,
        text: Text,
        speculative_config: SpecConfigLike,
        max_num_seqs: int,
        max_batched: int,
        seed: int,
        kv_cache_tokens: int | None = None,
    ):
        self._target = target
        self._text = text
        self._seed = seed
        self._budget = Budget(kv_cache_tokens, max_num_seqs, target.max_model_len)
        size = (max_num_seqs, target.max_model_len, target.dtype, target.device)
        self._cache = KVCache(target.config, *size, budget=kv_cache_tokens)
        self._scheduler = Scheduler(self._cache, max_batched, self._budget)
        self._stops = StopChecker(target.config.eos_token_ids, lambda: text.backend)
        self._ids = itertools.count()
        self._proposers = Proposers(Host(target, max_num_seqs, kv_cache_tokens))
        self.totals = Totals()
        self._interval_log: IntervalLogger | None = None
        self._endpoint: tuple[Endpoint, int] | None = None
        self.configure_speculation(speculative_config)

    @classmethod
    def load(
        cls,
        model: str | Path,
        speculative_config: SpecConfigLike = None,
        *,
        max_num_seqs: int = 8,
        max_model_len: int | None = None,
        max_num_batched_tokens: int = 512,
        kv_cache_tokens: int | None = None,
        dtype: str = "auto",
        device: str = "auto",
        num_threads: int | str = "auto",
        seed: int = 0,
        log_stats_interval: float | None = None,
        metrics_port: int | None = None,
        metrics_host: str = LOCAL,
    ) -> "Engine":
        """Load a Hugging Face model folder.

        dtype "auto" is fp32 on a CPU and the checkpoint's on a GPU; num_threads "auto" measures. `seed` keys the
        requests that bring none. kv_cache_tokens: how many cache positions all running requests share, in blocks of
        16. Where they outgrow it drafts are cut, then the latest request waits and is computed anew; None is room for
        max_num_seqs of max_model_len. log_stats_interval: seconds between log lines of what was drafted; metrics_port:
        as `serve_metrics`. Raises ConfigError for what the caller can mend, OutOfMemoryError where memory ends.
        """
        _check_watching(log_stats_interval, metrics_port, metrics_host)
        check_count("max_num_seqs", max_num_seqs, 1, 4096, required=True)
        facts = target_facts(Path(model), max_model_len, dtype, device)
        resolve(speculative_config, facts)  # refuse a wrong one before the weights are read
        target = load_target(Path(model), max_model_len, dtype, device, num_threads)
        text, most = Text(Path(model)), (max_num_seqs, max_num_batched_tokens)
        engine = cls(target, text, speculative_config, *most, seed, kv_cache_tokens)
        if log_stats_interval is not None:
            engine._interval_log = IntervalLogger(log_stats_interval, engine.totals.spec, clock())
        if metrics_port is not None:
            engine.serve_metrics(metrics_port, metrics_host)
        return engine

    def serve_metrics(self, port: int = 0, host: str = LOCAL) -> "Endpoint":
        """Serve Prometheus metrics over HTTP until `close`; port 0 is any free one, the endpoint says which.

        Engines of one process that ask for the same port share it. ConfigError for a port that cannot be served.
        """
        from engine.metrics.endpoint import endpoint

        self.close()
        place = endpoint(port, host)
        self._endpoint = place, place.join(self.read_metrics)
        return place

    def close(self) -> None:
        """Stop serving metrics."""
        if self._endpoint is not None:
            place, number = self._endpoint
            self._endpoint = None
            place.leave(number)

    def read_metrics(self, engine: str = "0") -> Reading:
        """Everything counted since the model was loaded; `engine` is the value of that label."""
        config = self.speculative_config
        drafting = Drafting(config.method or "none", config.output_law)
        now = (drafting, self.num_running, self.num_waiting, self.kv_cache_usage)
        return self.totals.reading(str(self._target.folder), engine, *now)

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

    @property
    def max_model_len(self) -> int:
        return self._target.max_model_len

    @property
    def tokenizer(self) -> Any:
        """The transformers tokenizer of the model folder."""
        return self._text.tokenizer

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
        return self._scheduler.num_drafts_cut

    @property
    def num_draft_rows(self) -> int:
        """How many rows a draft head (EAGLE, MTP) computed; more where its batches are padded."""
        return self._proposer.num_draft_rows

    def has_unfinished_requests(self) -> bool:
        return not self._scheduler.is_idle

    def environment(self) -> dict[str, Any]:
        """What runs where: recorded with every result."""
        served = {"metrics_url": self._endpoint[0].url} if self._endpoint is not None else {}
        cache = {
            "max_num_seqs": self._cache.num_slots,
            "kv_cache_tokens": self._budget.num_tokens,
            "kv_cache_bytes": self._cache.num_bytes,
            "kv_cache_memory": "follows use" if self._cache.is_paged else "allocated at start",
        }
        return describe(self._target) | cache | served

    def add_request(
        self,
        request_id: str,
        prompt_token_ids: Sequences[int],
        sampling_params: SamplingParams,
        arrival_time: float | None = None,
    ) -> None:
        """Queue a request; it joins the batch at a step boundary.

        `arrival_time` (seconds of time.perf_counter) is when it came, where that is not now: what it waited for the
        caller to hand it over counts as waiting.
        """
        check_prompt(prompt_token_ids, self._target.config.vocab_size, self.max_model_len)
        check_params(sampling_params, self._target.config.vocab_size)
        if self._scheduler.find(request_id):
            raise ConfigError(f"request id {request_id!r} is in use: give every request its own")
        number, came = next(self._ids), clock() if arrival_time is None else arrival_time
        sequence = new_sequence(
            request_id, prompt_token_ids, sampling_params, self.max_model_len, self._seed, number, came
        )
        self._budget.check(sequence.max_positions)
        self._scheduler.add(sequence)

    def abort_request(self, request_id: str) -> RequestOutput | None:
        """End a request now; returns what it had, or None for an id that is not here."""
        sequence = self._scheduler.find(request_id)
        if sequence is None:
            return None
        sequence.finish_reason = "abort"
        return self._finish(sequence, clock())

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
        if self._interval_log is not None:
            law = self.speculative_config.output_law
            self._interval_log.tick(t6, self.num_running, self.num_waiting, law)
        return finished

    def generate(
        self, prompts: Sequences[Prompt], sampling_params: SamplingParams | Sequences[SamplingParams] | None = None
    ) -> list[RequestOutput]:
        """Serve all prompts (text or token ids), as many at a time as max_num_seqs; outputs in the prompts' order."""
        self._must_be_idle("generate")
        params = params_for(len(prompts), sampling_params)
        ids = [f"generate-{next(self._ids)}" for _ in prompts]
        encoded = [self._text.encode(prompt) if isinstance(prompt, str) else list(prompt) for prompt in prompts]
        for tokens, wish in zip(encoded, params, strict=True):  # all, before the first is queued
            check_prompt(tokens, self._target.config.vocab_size, self.max_model_len)
            check_params(wish, self._target.config.vocab_size)
            self._budget.check(min(len(tokens) + wish.max_tokens, self.max_model_len) - 1)
        for request_id, tokens, wish in zip(ids, encoded, params, strict=True):
            self.add_request(request_id, tokens, wish)
        outputs: dict[str, RequestOutput] = {}
        while self.has_unfinished_requests():
            outputs |= {output.request_id: output for output in self.step()}
        return [outputs[request_id] for request_id in ids]

    def reset(self) -> None:
        """Clear what drafting carries from request to request, and the statistics. Only while idle."""
        self._must_be_idle("reset")
        self._scheduler.check_integrity()
        self._proposers.reset(self._proposer)
        self._reset_counters()

    @property
    def remembers_requests(self) -> bool:
        """Whether the method drafts for one request from what earlier ones were answered."""
        return self._proposer.remembers_requests

    def remember(self, responses: Sequences[Sequences[int]]) -> None:
        """Let the method draft from `responses` as if they had just been served, in this order. Only while idle."""
        self._must_be_idle("remember")
        self._proposer.remember(responses)

    def warm_up(self, max_batch: int | None = None) -> None:
        """Run every (batch, rows) shape once that drafting can ask for, so that none is first met while timed."""
        self._must_be_idle("warm_up")
        most = min(max_batch or self._cache.num_slots, self._cache.num_slots)
        depth = min(self.speculative_config.num_speculative_tokens or 0, self.max_model_len - 1)
        shapes = probes.draft_shapes(self.speculative_config, depth)
        probes.run_shapes(self._target.decoder, self._cache, most, shapes)
        self._cache.release_all()

    def next_token_scores(
        self,
        token_ids: Sequences[int],
        sampling_params: SamplingParams,
        position: int,
        num_prompt_tokens: int | None = None,
    ) -> Tensor:
        """[V] scores whose argmax is the token at index `position` of prompt + output, given `token_ids` before it.

        Greedy: processed logits. Sampled: log-probabilities plus the noise of (seed, position). Only while idle.
        """
        self._must_be_idle("next_token_scores")
        prefix = list(token_ids[:position])
        sequence = new_sequence("scores", prefix, sampling_params, self.max_model_len, self._seed, 0, 0.0)
        sequence.num_prompt_tokens = len(prefix) if num_prompt_tokens is None else num_prompt_tokens
        scores = probes.scores(self._target, self._cache, sequence)
        self._cache.release_all()
        return scores

    def _draft(self, batch: Batch) -> Draft:
        limits = self.control.limits(batch.decoding, self.num_running, self.kv_cache_usage)
        limits = self._scheduler.cut(batch.decoding, limits, self._proposer.num_rows)
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
        self.totals.count_request(sequence)
        text = self._text.decode(sequence.output_token_ids)
        return sequence.output(self._stops.cut_text(sequence, text))

    def _reset_counters(self) -> None:
        self.control = Control(self.speculative_config, self._cache.num_slots)
        self.stats = SpecDecodingStats(self.speculative_config.num_speculative_tokens or 0)
        self.timing = StepTimings()
        self._scheduler.reset_counters()
        self.totals.follow(self.stats, self.timing)
        self.steps_by_batch = StepsByBatch()

    def _must_be_idle(self, what: str) -> None:
        if not self._scheduler.is_idle:
            raise EngineError(f"{what} needs an idle engine: {self.num_running} requests run, {self.num_waiting} wait")


def _check_watching(log_stats_interval: float | None, metrics_port: int | None, metrics_host: str) -> None:
    """ConfigError for a wrong wish, before the weights are read."""
    if log_stats_interval is not None:
        check_interval(log_stats_interval)
    if metrics_port is not None:
        from engine.metrics.endpoint import check_port

        check_port(metrics_port, metrics_host)
