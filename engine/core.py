"""The engine as its callers see it: load, add and abort requests, generate, measure. Knows nothing of studies."""

from collections.abc import Sequence as Sequences
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from engine import probes
from engine.captured import EAGER, captured_by, resolve_eager
from engine.errors import ConfigError
from engine.loading import describe, load_target, resolve_device, target_facts
from engine.metrics.totals import Drafting, Reading
from engine.metrics.watching import LOCAL, Watching
from engine.models.kernel_choice import SDPA
from engine.models.shard import WHOLE, Shard
from engine.outputs import RequestOutput
from engine.proposers import resolve
from engine.requests import check_params, check_prompt, new_sequence, params_for
from engine.sampling_params import SamplingParams
from engine.sequence import Sequence
from engine.speculative_config import check_count
from engine.step_loop import SpecConfigLike, StepLoop, clock
from engine.text import Text

if TYPE_CHECKING:
    from engine.metrics.endpoint import Endpoint

Prompt = str | Sequences[int]


class Engine(StepLoop):
    """A target model with a drafting method, serving requests in continuous batches.

    `step` is the whole algorithm; `generate` loops over it for those who have all their prompts at hand.
    """

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
        load_format: str = "auto",
        kernels: str = "auto",
        enforce_eager: bool | None = None,
        tokenizer: str | Path | None = None,
        log_stats_interval: float | None = None,
        metrics_port: int | None = None,
        metrics_host: str = LOCAL,
        tensor_parallel_size: int = 1,
        shard: Shard = WHOLE,
    ) -> "Engine":
        """Load a Hugging Face model folder.

        dtype "auto" is fp32 on a CPU and the checkpoint's on a GPU; num_threads "auto" measures. `seed` keys the
        requests that bring none. kv_cache_tokens: how many cache positions all running requests share, in blocks of 16.
        Where they outgrow it drafts are cut, then the latest request waits and is computed anew; None is room for
        max_num_seqs of max_model_len. load_format "dummy": random weights for target and draft, whose folders need no
        more than a config.json. kernels: "torch" or "fused", "auto" is fused on a GPU. enforce_eager: whether decoding
        steps are run as they come, and not captured in CUDA graphs of fixed shapes; None captures with fused kernels on
        a GPU. tokenizer: a folder that has one, where the model's has none. log_stats_interval: seconds between log
        lines of what was drafted; metrics_port: as `serve_metrics`. tensor_parallel_size: processes that share the
        model, each with a GPU of its own, or on the CPU; this one starts and ends the others. shard: what such a
        process has of the model. Raises ConfigError for what the caller can mend, OutOfMemoryError where memory ends.
        """
        wishes = {name: value for name, value in locals().items() if name not in ("cls", "shard")}
        check_count("tensor_parallel_size", tensor_parallel_size, 1, 64, required=True)
        watching = Watching(log_stats_interval, metrics_port, metrics_host)
        check_count("max_num_seqs", max_num_seqs, 1, 4096, required=True)
        eager = resolve_eager(enforce_eager, kernels, resolve_device(device))
        facts = target_facts(Path(model), max_model_len, dtype, device, tensor_parallel_size)
        resolve(speculative_config, facts)  # refuse a wrong one before the weights are read
        if shard.size != tensor_parallel_size:
            from engine.parallel.leader import start

            return start(tensor_parallel_size, wishes)
        target = load_target(Path(model), max_model_len, dtype, device, num_threads, load_format, kernels, shard)
        text, most = Text(Path(tokenizer or model)), (max_num_seqs, max_num_batched_tokens)
        engine = cls(target, text, speculative_config, *most, seed, kv_cache_tokens, watching, eager)
        watching.begin(engine.read_metrics, clock())
        return engine

    def serve_metrics(self, port: int = 0, host: str = LOCAL) -> "Endpoint":
        """Serve Prometheus metrics over HTTP until `close`; port 0 is any free one, the endpoint says which.

        Engines of one process that ask for the same port share it. ConfigError for a port that cannot be served.
        """
        return self._watching.serve(self.read_metrics, port, host)

    def close(self) -> None:
        """Stop serving metrics."""
        self._watching.close()

    def read_metrics(self, engine: str = "0") -> Reading:
        """Everything counted since the model was loaded; `engine` is the value of that label."""
        config = self.speculative_config
        drafting = Drafting(config.method or "none", config.output_law)
        now = (drafting, self.num_running, self.num_waiting, self.kv_cache_usage)
        return self._watching.totals.reading(str(self._target.folder), engine, *now)

    @property
    def tokenizer(self) -> Any:
        """The transformers tokenizer of the model folder."""
        return self._text.tokenizer

    def environment(self) -> dict[str, Any]:
        """What runs where: recorded with every result."""
        cache = {
            "max_num_seqs": self._cache.num_slots,
            "kv_cache_tokens": self._budget.num_tokens,
            "kv_cache_bytes": self._cache.num_bytes,
            "kv_cache_memory": "follows use" if self._cache.is_paged else "allocated at start",
            "steps": EAGER if self._captured is None else captured_by(self._target.device),
        }
        if self._captured is not None:
            cache["attention"] = f"tree_attention; prompts that have no shape: {SDPA}"
        return describe(self._target) | self._proposer.host.facts | cache | self._watching.facts

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
        self._queue(sequence)

    @property
    def tensor_parallel_size(self) -> int:
        """How many processes compute; with a GPU each, where they have any."""
        return self._target.shard.size

    @property
    def progress(self) -> int:
        """What the running requests have come to, in one number: equal in processes that serve the same ones."""
        return self._scheduler.progress

    def _queue(self, sequence: Sequence) -> None:
        self._budget.check(sequence.max_positions)
        self._scheduler.add(sequence)

    def abort_request(self, request_id: str) -> RequestOutput | None:
        """End a request now; returns what it had, or None for an id that is not here."""
        sequence = self._scheduler.find(request_id)
        if sequence is None:
            return None
        sequence.finish_reason = "abort"
        return self._finish(sequence, clock())

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
        if self._captured is not None:
            self._captured.warm_up(most, depth, self._proposer)
        else:
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
