"""Measure a model's answers on held-out prompts: `python -m autotune.evaluate [model=models/tiny] [prompts=50]`.

Writes quality.json into the model's folder, and its card (README.md) where the folder holds a loss.csv.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from autotune import card, quality
from engine import Engine, RequestOutput, SamplingParams
from workloads.build import examples
from workloads.request import Example

MAX_TOKENS = 192
SEED = 2


def main(arguments: list[str]) -> int:
    given = OmegaConf.merge({"model": "models/tiny", "prompts": 50}, OmegaConf.from_dotlist(arguments))
    folder = Path(given.model)
    engine = Engine.load(str(folder), dtype="float32", max_num_seqs=8)
    tasks = {task: measured(engine, task, given.prompts) for task in quality.MEASURES}
    found = {"prompts": given.prompts, "split": "eval", "max_tokens": MAX_TOKENS, "dtype": "float32", "tasks": tasks}
    (folder / "quality.json").write_text(json.dumps(found, indent=2) + "\n")
    if (folder / "loss.csv").exists():
        (folder / "README.md").write_text(card.render(folder))
    return 0


def measured(engine: Engine, task: str, prompts: int) -> dict[str, Any]:
    """The measures of one task, and how its greedy answers end."""
    chosen = examples(task, split="eval", num_prompts=prompts, seed=SEED)
    outputs = answers(engine, chosen)
    ends = sum(output.finish_reason == "stop" for output in outputs) / prompts
    looping = sum(quality.loops(output.token_ids) for output in outputs) / prompts
    tokens = sum(len(output.token_ids) for output in outputs) / prompts
    print(f"{task}: ends {ends:.0%}, loops {looping:.0%}, {tokens:.0f} tokens", flush=True)
    measures = quality.scores(task, chosen, [output.text for output in outputs])
    print(
        "  "
        + ", ".join(f"{name} {value['score']:.2f} (chance {value['chance']:.2f})" for name, value in measures.items())
    )
    return {"measures": measures, "ends_by_itself": ends, "looping": looping, "mean_tokens": tokens}


def answers(engine: Engine, chosen: Sequence[Example]) -> list[RequestOutput]:
    """Greedy answers in the chat format."""
    prompts = [
        engine.tokenizer.apply_chat_template(
            [message._asdict() for message in example.prompt],  # type: ignore[union-attr]
            add_generation_prompt=True, return_dict=False,
        )
        for example in chosen
    ]  # fmt: skip
    return engine.generate(prompts, SamplingParams(temperature=0.0, max_tokens=MAX_TOKENS))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
