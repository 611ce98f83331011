"""Tokens a second at batch 1: no speculation, EAGLE-3 at the published acceptance, and transformers' generate.

Acceptance is SYNTHETIC: drafts pass at the published mean length whatever the model says, since the weights are random.
A contender's time per token is the difference of a long and a short answer, so prompts have no part in it.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import torch

from benchmarks.gpu.bounds import allowed_speedup
from benchmarks.gpu.captured import Steps
from benchmarks.gpu.drafts import eagle3
from benchmarks.gpu.sizes import FULL, Sizes
from benchmarks.gpu.timer import Timer
from benchmarks.timing import ratio, table
from engine import Engine, SamplingParams

# Mean acceptance length of EAGLE-3 chains by K: Llama-3.1-8B, MT-bench, batch 1 (vLLM pull request 20780).
PUBLISHED = {2: 2.36, 3: 2.79, 4: 3.08, 5: 3.32, 6: 3.46, 7: 3.54}
Answer = Callable[[int], object]  # gives so many tokens


class Contender:
    """Ours with one speculative config."""

    def __init__(self, engine: Engine, prompt: Sequence[int], config: Mapping[str, Any] | None):
        self._engine, self._prompt, self._config = engine, list(prompt), config
        self.drafts = self.accepted = 0  # since it was prepared

    def prepare(self, tokens: int) -> None:
        """Make its drafts the engine's, and answer once: what is captured or compiled at first use."""
        self._engine.configure_speculation(self._config)
        self.answer(tokens)
        self.drafts = self.accepted = 0

    def answer(self, tokens: int) -> None:
        params = SamplingParams(max_tokens=tokens, temperature=0.0, ignore_eos=True)
        (output,) = self._engine.generate([self._prompt], params)
        self.drafts += output.metrics.num_drafts
        self.accepted += output.metrics.num_accepted_tokens

    @property
    def mean_length(self) -> float:
        return 1 + self.accepted / self.drafts


def synthetic(head: Path, k: int) -> dict[str, Any]:
    rule = {"rejection_sample_method": "synthetic", "synthetic_acceptance_length": PUBLISHED[k]}
    return eagle3(head, k, **rule)


def per_token(answer: Answer, short: int, long: int) -> float:
    """Seconds."""
    return (seconds_of(answer, long) - seconds_of(answer, short)) / (long - short)


def seconds_of(answer: Answer, tokens: int) -> float:
    wait()
    begin = perf_counter()
    answer(tokens)
    wait()
    return perf_counter() - begin


def wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def measure(
    engine: Engine,
    head: Path,
    peer: Callable[[Sequence[int]], Answer],
    steps: Steps,
    timer: Timer,
    sizes: Sizes = FULL,
) -> dict[str, Any]:
    """tokens_per_s by contender, none_over_transformers, and per K the synthetic speed-up beside the allowed one."""
    prompt = [3 + i % 97 for i in range(sizes.prompt)]
    ours = {"none": Contender(engine, prompt, None)}
    ours |= {f"eagle3 K={k}": Contender(engine, prompt, synthetic(head, k)) for k in sizes.synthetic}
    seconds = rounds(ours, peer(prompt), sizes)
    found = {}
    for k in sizes.synthetic:
        contender, times = ours[f"eagle3 K={k}"], parts(engine, head, k, steps, timer, sizes.middle)
        found[str(k)] = gain(ratio(seconds["none"], seconds[f"eagle3 K={k}"]), contender.mean_length, k, times)
    engine.configure_speculation(None)
    rates = {name: 1 / median(times) for name, times in seconds.items()}
    over = ratio(seconds["transformers"], seconds["none"])
    show(rates, found, over)
    return {"tokens_per_s": rates, "none_over_transformers": over, "synthetic": found}


def rounds(ours: Mapping[str, Contender], theirs: Answer, sizes: Sizes) -> dict[str, list[float]]:
    """Seconds per token; contenders take turns, and a round before does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in (*ours, "transformers")}
    for turn in range(sizes.rounds + 1):
        for name in seconds if turn % 2 else reversed(list(seconds)):
            if name in ours:
                ours[name].prepare(sizes.short)
            spent = per_token(ours[name].answer if name in ours else theirs, sizes.short, sizes.long)
            if turn:
                seconds[name].append(spent)
    return seconds


def parts(engine: Engine, head: Path, k: int, steps: Steps, timer: Timer, context: int) -> dict[str, float]:
    """Median seconds of a step of one row, a verification of K + 1, and a draft loop."""
    engine.configure_speculation(eagle3(head, k))
    runs = {
        "step": steps.target_step(engine, 1, 1, context),
        "verify": steps.target_step(engine, 1, k + 1, context),
        "draft": steps.draft_loop(engine, 1, k, context),
    }
    return {name: median(times) for name, times in timer.paired(runs, 10).items()}


def gain(measured: float, length: float, k: int, parts: Mapping[str, float]) -> dict[str, float]:
    """`length`: the mean acceptance length that the run really had."""
    allowed = allowed_speedup(length, parts["step"], parts["verify"], parts["draft"])
    return {
        "published_length": PUBLISHED[k],
        "mean_acceptance_length": length,
        "speedup": measured,
        "allowed": allowed,
        "of_allowed": measured / allowed,
    }


def show(rates: Mapping[str, float], found: Mapping[str, Mapping[str, float]], over: float) -> None:
    rows = [[name, rate, rate / rates["transformers"]] for name, rate in rates.items()]
    table("batch 1, greedy; SYNTHETIC acceptance", ["", "tokens/s", "x transformers"], rows)
    header = ["K", "published length", "length", "speed-up", "allowed", "of allowed"]
    table("SYNTHETIC speed-up of EAGLE-3 over none", header, [[k, *each.values()] for k, each in found.items()])
    print(f"\nnone over transformers: {over:.2f}")
