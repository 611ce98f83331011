"""An engine without a model: answers are made up from the prompt, time is counted and not spent (but for requests that
arrive at times of their own), failures come when asked.

A step costs 1 ms plus 5 % for every drafted token; at most `good` tokens of a draft are accepted. So the best K is
`good`. A method named in `methods` has a truth of its own: {good: 4, row: 0.05}, or {ranks: [0.6, 0.2], row: 0.05}, the
chance that the model's token is the draft's first, second, ... choice, whatever the depth. In `chain` a chance below 1
makes each of the `good` tokens accepted with that chance only, 8 % less for every step between prompt_lookup_max and
`window` (0: any window is as good); `row` and `level` are what a drafted token costs the target and drafting, in steps,
`crowd` of a row's cost comes on top for every further request, `context` for every token of the prompts' mean length,
and a draft of k tokens takes k times `megabytes` from when it is first made until drafts are forgotten.
A workload named in `workloads` has a truth of its own on top, whatever the method.
"""

from __future__ import annotations

import bisect
import itertools
import os
import random
import signal
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.control import Control
from engine.errors import ConfigError, OutOfMemoryError
from engine.outputs import RequestMetrics, RequestOutput
from engine.speculative_config import SpeculativeConfig
from engine.stats import SpecDecodingStats, StepTimings
from engine.step_stats import StepsByBatch
from engine.tree.token_tree import TokenTree

STEP = 0.001


class FakeTokenizer:
    chat_template = None

    def __call__(self, text: str) -> dict[str, list[int]]:
        return {"input_ids": [2 + sum(map(ord, word)) % 900 for word in text.split()]}


class FakeEngine:
    """`fault` happens at drafts of `fault_at` tokens: crash, hang, memory, lossy, near_tie, refuse, die. Every step
    takes longer while the count of requests lies in `slow_requests`.
    """

    def __init__(
        self, fault: str, fault_at: int, good: int, noise: float, max_model_len: int, slow: float, max_num_seqs: int,
        methods: dict[str, Any], chain: dict[str, float], slow_requests: Sequence[int] = (0, 0),
        workloads: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        self.workloads = workloads or {}
        plain = {"chance": 1.0, "odd": 1, "window": 0, "row": 0.05, "level": 0.0, "crowd": 0.0, "context": 0.0}
        self.chain = {**plain, "megabytes": 0, **chain}
        self.max_num_seqs, self.methods = max_num_seqs, methods
        self.slow_requests, self.requests = slow_requests, 0
        self.fault, self.fault_at, self.good, self.noise, self.slow = fault, fault_at, good, noise, slow
        self.max_model_len = max_model_len
        self.tokenizer = FakeTokenizer()
        self.now, self.real = 0.0, False
        self.rng = random.Random(0)
        self.drafts: dict[int, bytes] = {}
        self.running: list[Any] = []
        self.waiting: list[Any] = []
        self.k = 0
        self.configure_speculation(None)

    @classmethod
    def load(
        cls,
        model: str,
        speculative_config: dict[str, Any] | None = None,
        *,
        fault: str = "",
        fault_at: int = 3,
        good: int = 4,
        noise: float = 0.01,
        max_model_len: int = 4096,
        max_num_seqs: int = 8,
        slow: float = 0.0,
        methods: dict[str, Any] | None = None,
        chain: dict[str, float] | None = None,
        slow_requests: Sequence[int] = (0, 0),
        workloads: dict[str, Any] | None = None,
    ) -> FakeEngine:
        if fault == "load_memory":
            raise OutOfMemoryError("the weights need 12 GB, the device has 8")
        if fault == "load_crash":
            raise RuntimeError("a bug while loading")
        own = (methods or {}, chain or {}, slow_requests, workloads)
        return cls(fault, fault_at, good, noise, max_model_len, slow, max_num_seqs, *own)

    def environment(self) -> dict[str, Any]:
        return {"device": "none", "dtype": "float32", "max_model_len": self.max_model_len}

    def configure_speculation(self, config: dict[str, Any] | None) -> None:
        config = config or {}
        self.k = config.get("num_speculative_tokens", 0)
        self.lookup = config.get("prompt_lookup_max", 0)
        self.truth = self.usual = {"good": self.good, **self.chain, **self.methods.get(config.get("method"), {})}
        if config and not 1 <= self.k <= 128:
            raise ConfigError(f"num_speculative_tokens={self.k} is not allowed: a whole number from 1 to 128")
        if config.get("prompt_lookup_min", 1) > config.get("prompt_lookup_max", 99):
            raise ConfigError("prompt_lookup_min is above prompt_lookup_max: it must not be")
        self.tree = TokenTree.chain(self.k) if self.k else TokenTree(())
        if literal := config.get("speculative_token_tree"):
            self.tree = TokenTree.parse(literal, self.k)
        self.buckets = config.get("num_speculative_tokens_per_batch_size") or ()
        self.reset()

    def _turn_to(self, request_id: str) -> None:
        """Requests are named after their workload."""
        self.truth = {**self.usual, **self.workloads.get(request_id.partition("-")[0], {})}

    def _obey_schedule(self) -> None:
        for first, last, count in self.buckets:
            if first <= len(self.running) <= last:
                self.k, self.tree = count, TokenTree.chain(count) if count else TokenTree(())

        if self.k and self.k not in self.drafts:
            self.drafts[self.k] = b"x" * (self.k * int(self.truth["megabytes"]) * 2**20)

    def forget_drafts(self) -> None:
        self.configure_speculation(None)
        self.drafts.clear()

    def reset(self) -> None:
        self.stats, self.timing, self.steps_by_batch = SpecDecodingStats(self.k), StepTimings(), StepsByBatch()

    remembers_requests = False
    control = Control(SpeculativeConfig(), max_num_seqs=1)

    def remember(self, responses: list[list[int]]) -> None:
        raise ConfigError("the fake engine remembers nothing")

    def warm_up(self, max_batch: int | None = None) -> None:
        self._fail()

    @property
    def num_running(self) -> int:
        return len(self.running)

    @property
    def num_waiting(self) -> int:
        return len(self.waiting)

    def add_request(
        self, request_id: str, prompt_token_ids: list[int], sampling_params: Any, arrival_time: float | None = None
    ) -> None:
        """With an arrival time the engine's clock is the real one from here on."""
        self.requests += 1
        self.real = arrival_time is not None
        arrived = self.now if arrival_time is None else arrival_time
        self.waiting.append((request_id, prompt_token_ids, sampling_params, [], RequestMetrics(arrival_time=arrived)))

    def step(self) -> list[RequestOutput]:
        if self.real:
            self.now = time.perf_counter()
        while self.waiting and len(self.running) < self.max_num_seqs:
            self.running.append(self.waiting.pop(0))
            self.running[-1][4].first_scheduled_time = self.now
        self._obey_schedule()
        if self.running:
            self._turn_to(self.running[0][0])
        length = sum(len(prompt) for _, prompt, *_ in self.running) / max(1, len(self.running))
        crowd = (1 + self.truth["crowd"] * (len(self.running) - 1)) * (1 + self.truth["context"] * length)
        cost = STEP * (1 + self.truth["row"] * len(self.tree) * crowd)
        cost *= 1.8 if self.slow_requests[0] <= self.requests < self.slow_requests[1] else 1.0
        drafting, noise = STEP * self.truth["level"] * self.k, 1 + self.noise * self.rng.gauss(0, 1)
        self.now += (cost + drafting) * noise
        if self.real or self.slow:
            time.sleep(max(self.slow, self.now - time.perf_counter()) if self.real else self.slow)
        self._count_step((cost + drafting) * noise)
        self.timing.num_steps += 1
        self.timing.target += cost * noise
        self.timing.draft += drafting * noise
        self.timing.num_target_rows += sum(1 + len(self.tree) if tokens else 1 for _, _, _, tokens, _ in self.running)
        finished = []
        for request in list(self.running):
            if self._advance(*request):
                self.running.remove(request)
                finished.append(self._output(*request))
        return finished

    def next_token_scores(
        self, token_ids: list[int], params: Any, position: int, num_prompt_tokens: int | None = None
    ) -> Any:
        scores = np.zeros(1000)
        scores[answer_token(token_ids[:num_prompt_tokens], position - (num_prompt_tokens or 0))] = 1.0
        if self.fault == "near_tie":
            scores[999] = 1.0 - 1e-6
        return scores

    def _count_step(self, cost: float) -> None:
        decoding = [request for request in self.running if request[3]]
        drafted = self.k * len(decoding)
        accepted = sum(self._accepted(prompt, len(tokens)) for _, prompt, _, tokens, _ in decoding)
        prompts = len(decoding) < len(self.running)
        self.steps_by_batch.count(len(decoding), prompts, cost, len(decoding) + accepted, drafted, accepted)

    def _accepted(self, prompt: list[int], position: int = 0) -> int:
        if "ranks" in self.truth:
            return len(self._path(prompt, position))
        most = min(self.k, max(0, self.truth["good"] - self.truth["odd"] * (len(prompt) % 2)))
        off = abs(self.lookup - self.truth["window"]) if self.truth["window"] else 0
        chance = self.truth["chance"] * 0.92**off
        return most if chance >= 1 else next((i for i in range(most) if coin(prompt, position + i) >= chance), most)

    def _path(self, prompt: list[int], position: int) -> tuple[int, ...]:
        """The ranks of the tokens that come, as far as the tree has them."""
        path: tuple[int, ...] = ()
        chances = [*itertools.accumulate(self.truth["ranks"])]
        while True:
            luck = random.Random(f"{sum(prompt)} {position + len(path)}").random()
            longer = (*path, bisect.bisect(chances, luck))
            if luck >= chances[-1] or longer not in self.tree.nodes:
                return path
            path = longer

    def _advance(
        self, request_id: str, prompt: list[int], params: Any, tokens: list[int], metrics: RequestMetrics
    ) -> bool:
        self._turn_to(request_id)
        accepted = self._accepted(prompt, len(tokens)) if tokens else 0
        new = [answer_token(prompt, len(tokens) + i) for i in range(min(accepted + 1, params.max_tokens - len(tokens)))]
        if self.k == self.fault_at and self.fault in ("lossy", "near_tie") and len(tokens) == 1 and "0" in request_id:
            new[0] = 999
        if tokens:
            self.timing.num_decode_passes += 1
            self.timing.num_decode_tokens += len(new)
            if self.k:
                self.stats.observe_draft(len(self.tree), accepted, self.tree.depth)
                metrics.count_draft(self.k, accepted)
                if "ranks" in self.truth:
                    self._count_tree(self._path(prompt, len(tokens)))
        tokens.extend(new)
        metrics.deliveries.append((self.now, len(new)))
        metrics.first_token_time = metrics.first_token_time or self.now
        return len(tokens) >= params.max_tokens

    def _count_tree(self, path: tuple[int, ...]) -> None:
        nodes = [self.tree.nodes.index(path[: depth + 1]) for depth in range(len(path))]
        self.stats.observe_tree(self.tree.parents, nodes)

    def _output(
        self, request_id: str, prompt: list[int], params: Any, tokens: list[int], metrics: RequestMetrics
    ) -> RequestOutput:
        metrics.finished_time = self.now
        return RequestOutput(request_id, prompt, tokens, "", "length", None, None, metrics)

    def _fail(self) -> None:
        if self.k != self.fault_at:
            return
        if self.fault == "crash":
            raise RuntimeError("a bug in the engine")
        if self.fault == "memory":
            raise OutOfMemoryError("the draft needs 2 GB, 1 GB is free")
        if self.fault == "refuse":
            raise ConfigError(f"num_speculative_tokens={self.k} does not fit this model: at most {self.k - 1}")
        if self.fault == "hang":
            time.sleep(600)
        if self.fault == "die":
            os.kill(os.getpid(), signal.SIGKILL)


def coin(prompt: list[int], position: int) -> float:
    """The same for every configuration, so that a draft of fewer tokens is the beginning of one of more."""
    return random.Random(sum(prompt) * 100_003 + position).random()


def answer_token(prompt: list[int], index: int) -> int:
    return 2 + (sum(prompt) * 31 + index * 7) % 900
