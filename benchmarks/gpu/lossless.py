"""The engine on models/tiny: every method gives the tokens of `none`, and captured steps those of eager ones."""

import traceback
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch

from benchmarks.gpu.captured import abandon, can_capture
from benchmarks.gpu.methods import METHODS, TINY, Config
from benchmarks.gpu.ties import parting
from benchmarks.timing import table
from engine import Engine, SamplingParams
from engine.outputs import RequestOutput

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


FULL, SHORT = Size(6, 4, 64), Size(3, 2, 20)


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


Answers = tuple[list[RequestOutput], int]


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
    """Outputs, and how many drafted tokens were accepted."""
    engine.configure_speculation(config)
    try:
        outputs = engine.generate(prompts(engine, size), wishes(size))
    finally:
        abandon(engine)
    accepted = engine.stats.num_accepted_tokens
    engine.reset()
    return outputs, accepted


def compare(engine: Engine, what: str, got: Answers, expected: Sequence[RequestOutput], size: Size) -> Verdict:
    engine.configure_speculation(None)
    partings = [parting(engine, *both) for both in zip(got[0], expected, wishes(size), strict=True)]
    parted = [found for found in partings if found is not None]
    ties = sum(found.is_tie for found in parted)
    dtype = str(engine._target.dtype).removeprefix("torch.")
    return Verdict(what, dtype, len(partings) - len(parted), ties, len(parted) - ties, got[1])


def judged(
    engine: Engine, what: str, make: Callable[[], Answers], expected: Sequence[RequestOutput], size: Size
) -> Verdict:
    """An error is a verdict too: the other methods still have theirs."""
    try:
        return compare(engine, what, make(), expected, size)
    except Exception as error:
        traceback.print_exc()
        dtype = str(engine._target.dtype).removeprefix("torch.")
        return Verdict(what, dtype, 0, 0, len(expected), 0, f"{type(error).__name__}: {error}"[:200])


def methods_against_none(engine: Engine, size: Size, methods: Mapping[str, Config]) -> list[Verdict]:
    """A method of which nothing was accepted would prove nothing: its note says so."""
    expected, _ = answers(engine, None, size)
    found = []
    for name, config in methods.items():
        verdict = judged(engine, f"{name} = none", partial(answers, engine, config, size), expected, size)
        found.append(verdict if verdict.accepted or verdict.note else verdict._replace(note="no draft was accepted"))
    return found


def captured_against_eager(captured: Engine, eager: Engine, size: Size, methods: Mapping[str, Config]) -> list[Verdict]:
    found = []
    for name, config in ({"none": None} | dict(methods)).items():
        expected, _ = answers(eager, config, size)
        make = partial(answers, captured, config, size)
        found.append(judged(eager, f"captured = eager, {name}", make, expected, size))
    return found


def fused_against_torch(fused: Engine, dtype: str, size: Size) -> Verdict:
    """The kernels against torch's own operators."""
    expected, _ = answers(load(dtype, size, kernels="torch"), None, size)
    return compare(fused, "fused = torch, none", answers(fused, None, size), expected, size)


def prove(device: torch.device, size: Size | None = None, methods: Mapping[str, Config] = METHODS) -> list[Verdict]:
    """fp32 for all; bf16 too, on a CPU for one method only."""
    size = size or (FULL if device.type == "cuda" else SHORT)
    found = []
    for dtype in ("float32", "bfloat16"):
        some = methods if dtype == "float32" or device.type == "cuda" else dict(list(methods.items())[:1])
        found += prove_one(dtype, size, some)
    show(found)
    return found


def prove_one(dtype: str, size: Size, methods: Mapping[str, Config]) -> list[Verdict]:
    if not can_capture():
        eager = load(dtype, size)
        return [fused_against_torch(eager, dtype, size), *methods_against_none(eager, size, methods)]
    captured, eager = load(dtype, size, enforce_eager=False), load(dtype, size, enforce_eager=True)
    return [
        fused_against_torch(eager, dtype, size),
        *captured_against_eager(captured, eager, size, methods),
        *methods_against_none(captured, size, methods),
    ]


def show(found: Sequence[Verdict]) -> None:
    header = ["tokens", "dtype", "same", "near ties", "wrong", "accepted", ""]
    table("greedy and seeded, models/tiny", header, [list(verdict) for verdict in found])
