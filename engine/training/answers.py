"""What a target model answers, written down once: the text from which its draft heads learn.

Knows nothing of workloads: prompts come in as token ids. Files of `chunk` answers each are written in one move, so a
run that was cut off generates only what is missing, and the same prompts always give the same answers.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from engine.core import Engine
from engine.sampling_params import SamplingParams


class Prompt(NamedTuple):
    """Token ids to answer, and the name of the task they belong to."""

    ids: list[int]
    task: str


class Answered(NamedTuple):
    """A prompt and its answer as token ids; `how` is "greedy", "sampled" or "reference"."""

    prompt: list[int]
    answer: list[int]
    task: str
    how: str


def answered(
    engine: Engine,
    prompts: Sequence[Prompt],
    folder: Path,
    params: SamplingParams,
    name: str = "greedy",
    chunk: int = 256,
) -> list[Answered]:
    """The answers to `prompts` in their order, generated where `folder` does not hold them yet."""
    folder.mkdir(parents=True, exist_ok=True)
    found: list[Answered] = []
    made, seconds = 0, 0.0
    for first in range(0, len(prompts), chunk):
        path = folder / f"{name}-{first:06d}-{len(prompts[first : first + chunk])}.jsonl"
        if not path.exists():
            began = time.monotonic()
            made += generate(engine, prompts[first : first + chunk], path, params, name)
            seconds += time.monotonic() - began
            tell(name, min(first + chunk, len(prompts)), len(prompts), made, seconds, chunk)
        found += read(path)
    return found


def generate(engine: Engine, prompts: Sequence[Prompt], path: Path, params: SamplingParams, name: str) -> int:
    """Answer one chunk and write it; the number of tokens generated."""
    outputs = engine.generate([prompt.ids for prompt in prompts], params)
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    with new.open("w") as file:
        for prompt, output in zip(prompts, outputs, strict=True):
            line = Answered(prompt.ids, output.token_ids, prompt.task, name)
            file.write(json.dumps(line._asdict(), separators=(",", ":")) + "\n")
    os.replace(new, path)
    return sum(len(output.token_ids) for output in outputs)


def read(path: Path) -> list[Answered]:
    return [Answered(**json.loads(line)) for line in path.read_text().splitlines()]


def tell(name: str, done: int, total: int, tokens: int, seconds: float, chunk: int) -> None:
    speed = tokens / max(seconds, 1e-9)
    left = (total - done) / chunk * seconds / max(1, -(-done // chunk)) / 60
    print(f"{name} answers {done}/{total}  {speed:,.0f} tokens/s  {left:.0f} min left", flush=True)
