"""The engine on models/tiny: every method gives the tokens of `none`, and captured steps those of eager ones."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch

from benchmarks.gpu import failures
from benchmarks.gpu.captured import abandon
from benchmarks.gpu.methods import METHODS, TINY, Config
from benchmarks.gpu.ties import parting
from benchmarks.timing import table
from engine import Engine, SamplingParams
from engine.outputs import RequestOutput

NONE = "none"
QUESTIONS = (
    "Summarize: the bridge was closed for two days after the storm.",
    "What is 17 + 25?",
    "def total(values):",
    "Translate to French: the train is late.",
    "Why is the sky blue?",
    "Repeat: one two three one two three one two",
)
OPTIONS: Mapping[str, Any] = {"max_model_len": 256, "max_num_batched_tokens": 12, "num_threads": 1}


class Size(NamedTuple):
    """Of a proof: requests of each temperature, at once, and tokens of an answer."""

    requests: int
    batch: int
    tokens: int


FULL, SHORT = Size(6, 4, 64), Size(2, 2, 16)


class Verdict(NamedTuple):
    """What a comparison found. `ties` outputs parted where the target all but ties, `wrong` ones elsewhere."""

    what: str
    dtype: str
    same: int
    ties: int
    wrong: int
    accepted: int
    note: str = ""

    @property
    def holds(self) -> bool:
        return not self.wrong and not self.note


class Answers(NamedTuple):
    """`accepted`: how many drafted tokens were."""

    outputs: list[RequestOutput]
    accepted: int


def load(dtype: str, size: Size, kernels: str = "fused", **more: Any) -> Engine:
    return Engine.load(TINY, dtype=dtype, max_num_seqs=size.batch, kernels=kernels, **OPTIONS, **more)


def wishes(size: Size) -> list[SamplingParams]:
    """Greedy ones, then seeded ones; lengths differ, so that requests join and leave at different steps."""
    return [
        SamplingParams(max_tokens=size.tokens - i % 5, temperature=temperature, seed=i)
        for temperature in (0.0, 0.8)
        for i in range(size.requests)
    ]


def prompts(engine: Engine, size: Size) -> list[list[int]]:
    encode = engine.tokenizer.apply_chat_template
    chats = [[{"role": "user", "content": text}] for text in QUESTIONS[: size.requests]] * 2
    return [encode(chat, add_generation_prompt=True, return_dict=False) for chat in chats]


def answers(engine: Engine, config: Config | None, size: Size) -> Answers:
    """Of all requests with one method."""
    engine.configure_speculation(config)
    try:
        outputs = engine.generate(prompts(engine, size), wishes(size))
    finally:
        abandon(engine)
    accepted = engine.stats.num_accepted_tokens
    engine.reset()
    return Answers(outputs, accepted)


class Proof:
    """The engines of one dtype, by what their steps run on, and their answers, each made once."""

    def __init__(self, dtype: str, size: Size, methods: Mapping[str, Config]):
        self.dtype, self.size = dtype, size
        self.methods: dict[str, Config | None] = {NONE: None, **methods}
        self.engines = {
            "torch": load(dtype, size, "torch"),
            "eager": load(dtype, size, enforce_eager=True),
            "captured": load(dtype, size, enforce_eager=False),
        }
        self._made: dict[tuple[str, str], Answers] = {}

    def answers(self, engine: str, method: str) -> Answers:
        key = engine, method
        if key not in self._made:
            self._made[key] = answers(self.engines[engine], self.methods[method], self.size)
        return self._made[key]

    def compare(self, what: str, got: tuple[str, str], expected: tuple[str, str]) -> Verdict:
        """Answers of (engine, method). An error is a verdict too: the other methods still have theirs."""
        try:
            return self._compare(what, self.answers(*got), self.answers(*expected))
        except Exception as error:
            return Verdict(what, self.dtype, 0, 0, len(wishes(self.size)), 0, failures.line(error))

    def _compare(self, what: str, got: Answers, expected: Answers) -> Verdict:
        judge = self.engines["eager"]
        judge.configure_speculation(None)
        triples = zip(got.outputs, expected.outputs, wishes(self.size), strict=True)
        parted = [found for found in (parting(judge, *each) for each in triples) if found is not None]
        ties = sum(found.is_tie for found in parted)
        return Verdict(what, self.dtype, len(got.outputs) - len(parted), ties, len(parted) - ties, got.accepted)

    def verdicts(self) -> Iterator[Verdict]:
        """A method of which nothing was accepted would prove nothing: its note says so."""
        yield self.compare("fused = torch, none", ("eager", NONE), ("torch", NONE))
        for method in self.methods:
            yield self.compare(f"captured = eager, {method}", ("captured", method), ("eager", method))
            if method != NONE:
                found = self.compare(f"{method} = none", ("captured", method), ("captured", NONE))
                yield found if found.accepted or found.note else found._replace(note="no draft was accepted")


def prove(device: torch.device, size: Size | None = None, methods: Mapping[str, Config] = METHODS) -> list[Verdict]:
    """fp32 for all; bf16 too, on a CPU for one method only."""
    size = size or (FULL if device.type == "cuda" else SHORT)
    found: list[Verdict] = []
    for dtype in ("float32", "bfloat16"):
        some = methods if dtype == "float32" or device.type == "cuda" else dict(list(methods.items())[:1])
        found += Proof(dtype, size, some).verdicts()
    show(found)
    return found


def show(found: Sequence[Verdict]) -> None:
    header = ["tokens", "dtype", "same", "near ties", "wrong", "accepted", ""]
    table("greedy and seeded, models/tiny", header, [list(verdict) for verdict in found])
