"""Acceptance of every drafting method on every workload of the embedded model: writes docs/acceptance.md.

    python -m benchmarks.acceptance [--prompts 32] [--tokens 96] [--k 4]

Greedy, float32, held-out prompts. Mean acceptance length is 1 + accepted / drafts; a step without a draft is not a
draft, so tokens per target pass stands beside it. Acceptance per position is accepted / drafted at that position.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

import workloads
from benchmarks.timing import finish
from engine import Engine, SamplingParams
from engine.speculative_config import field_names

ROOT = Path(__file__).resolve().parents[1]
WORKLOADS = ("summarization", "rag", "code", "qa", "math", "translation", "chat")
FEWER = {"mlp_speculator": 3}  # methods whose shipped draft has fewer than four heads


def methods(k: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every YAML of conf/method but none, with the shipped draft and k tokens."""
    known = field_names()
    for path in sorted((ROOT / "conf" / "method").glob("*.yaml")):
        model = OmegaConf.load(ROOT / "conf" / "model" / "tiny.yaml")
        both = OmegaConf.create({"model": model, "method": OmegaConf.load(path)})
        values = OmegaConf.to_container(both.method, resolve=True)
        config = {key: value for key, value in values.items() if key in known and value is not None}
        if "num_speculative_tokens" in config:
            yield path.stem, config | {"num_speculative_tokens": min(k, FEWER.get(path.stem, k))}


def prompts(engine: Engine, source: str, count: int) -> list[list[int]]:
    made = workloads.build(source, split="eval", num_prompts=count, seed=0, max_tokens=1)
    chats = [[{"role": m.role, "content": m.content} for m in request.prompt] for request in made]
    return [engine.tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=False) for chat in chats]


def measure(engine: Engine, config: dict[str, Any], batch: list[list[int]], tokens: int) -> dict[str, Any]:
    """One method on one workload."""
    engine.configure_speculation(config)
    engine.reset()
    engine.generate(batch, SamplingParams(max_tokens=tokens, temperature=0.0))
    stats, timing = engine.stats, engine.timing
    return {
        "mean_acceptance_length": stats.mean_acceptance_length or 1.0,
        "tokens_per_target_pass": timing.tokens_per_target_pass,
        "acceptance_per_position": [rate or 0.0 for rate in stats.acceptance_per_position],
        "num_drafts": stats.num_drafts,
    }


def page(found: dict[str, dict[str, dict[str, Any]]], arguments: argparse.Namespace) -> str:
    """The tables as Markdown."""
    head = f"""# Acceptance on the embedded model

`python -m benchmarks.acceptance` makes this page: models/tiny, greedy in float32, {arguments.prompts} held-out prompts
a workload, at most {arguments.tokens} tokens an answer, num_speculative_tokens {arguments.k} (mlp_speculator: 3, its
stages). suffix remembers the answers to earlier prompts of the same workload.

## Mean acceptance length (tokens per target pass)

1 + accepted / drafts; in brackets the tokens that a target pass brought, which counts the steps without a draft too.
"""
    lines = [head, "| method | " + " | ".join(WORKLOADS) + " |", "|---" * (len(WORKLOADS) + 1) + "|"]
    for method, by_workload in found.items():
        cells = (by_workload[name] for name in WORKLOADS)
        shown = (f"{cell['mean_acceptance_length']:.2f} ({cell['tokens_per_target_pass']:.2f})" for cell in cells)
        lines.append(f"| {method} | " + " | ".join(shown) + " |")
    lines += ["", "## Acceptance per position", ""]
    lines += ["| method | " + " | ".join(WORKLOADS) + " |", "|---" * (len(WORKLOADS) + 1) + "|"]
    for method, by_workload in found.items():
        rates = (by_workload[name]["acceptance_per_position"] for name in WORKLOADS)
        shown = (" ".join(f"{rate:.2f}".lstrip("0") for rate in row) for row in rates)
        lines.append(f"| {method} | " + " | ".join(shown) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("prompts", 32), ("tokens", 96), ("k", 4)):
        parser.add_argument(f"--{name}", type=int, default=default)
    arguments = parser.parse_args()
    engine = Engine.load(ROOT / "models" / "tiny", max_num_seqs=8, dtype="float32", num_threads=1)
    batches = {name: prompts(engine, name, arguments.prompts) for name in WORKLOADS}
    found = {}
    for method, config in methods(arguments.k):
        found[method] = {name: measure(engine, config, batch, arguments.tokens) for name, batch in batches.items()}
        means = [f"{found[method][name]['mean_acceptance_length']:.2f}" for name in WORKLOADS]
        print(f"{method:16}", *(f"{name} {mean}" for name, mean in zip(WORKLOADS, means, strict=True)), flush=True)
    (ROOT / "docs" / "acceptance.md").write_text(page(found, arguments), encoding="utf-8")
    finish("acceptance", found)


if __name__ == "__main__":
    main()
