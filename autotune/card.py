"""The model card of an embedded model, written from quality.json, loss.csv and training.json in its folder."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

LOSS_ROWS = 9
TEXT = """# {name}

A Llama of {parameters:,} parameters: {num_layers} layers, {hidden_size} wide, {num_heads} heads, {num_kv_heads}
key-value heads of {head_dim}, tied embeddings, {vocab_size} byte-level BPE entries with single digits. Deep and
narrow, so that speculative decoding has room on a CPU. Weights are bfloat16; float16 represents every one of them
exactly. Apache-2.0.

## Corpus

Conversations from the task generator in `workloads/` (train split) and functions of Python's standard library
(Python {python}; files are held out by a hash of their path). Documents: {shares}. Practice is exercises
in copying, looking up, sums and single words of Varsan, the invented language of the translations. Names, places,
numbers from 60 up, sentences of Varsan and files of the other splits never occur in training.

## Training

    python -m autotune.train method=none model={name}

{steps:,} steps, {tokens:,} tokens, {minutes:.0f} minutes on {threads} thread(s) of {cpu}, {precision} products with
fp32 weights. Muon (rate {matrix_lr}) for the matrices, AdamW ({vector_lr}) for embeddings and norms, batches of
{tokens_per_batch:,} tokens, warm-up of {warmup_steps} steps, linear decay to zero over the last {decay_share:.0%}.
Answers count fully in the loss, prompts {prompt_weight} (code 1, practice 0). The first two layers start with a
previous-token head and an induction head (`engine/training/copying.py`). {note}

## Loss

Cross entropy of the answers of held-out documents, nats a token (every point: `loss.csv`).

{losses}

## Quality on held-out prompts

Greedy answers of at most {max_tokens} tokens to {prompts} prompts a task of split `{split}` in {dtype} (`python -m
autotune.evaluate`; `autotune/quality.py` defines the measures). Chance is what the right answer to *another* prompt
of the task would score. Looping: the output ends with a cycle of at most 24 tokens, three times or more and over at
least 24 tokens.

{answers}

## Limits

Made to try speculative decoding where no other model is at hand. It knows the small world of its generator and
nothing else; prompts of other kinds get text that looks like its tasks. Trained on texts of up to {max_length}
tokens.
"""


def render(folder: Path) -> str:
    """The whole README.md."""
    quality = json.loads((folder / "quality.json").read_text())
    training = json.loads((folder / "training.json").read_text())
    values = {**training, **training["shape"], **training["recipe"], **quality, "tokens": training["tokens"]}
    values["shares"] = ", ".join(f"{task} {share:.0%}" for task, share in training["mixture"].items())
    values["losses"] = table(loss_rows(read_curve(folder / "loss.csv")))
    values["answers"] = table(answer_rows(quality["tasks"]))
    return TEXT.format(**values)


def loss_rows(curve: dict[int, dict[str, Any]]) -> list[list[str]]:
    """At most `LOSS_ROWS` of the evaluations, the first and the last among them."""
    steps = [step for step in sorted(curve) if len(curve[step]) > 2]
    shown = sorted({steps[round(index * (len(steps) - 1) / (LOSS_ROWS - 1))] for index in range(LOSS_ROWS)})
    tasks = [task for task in curve[steps[-1]] if task not in ("tokens", "train")]
    rows = [["step", "tokens", *tasks]]
    rows += [[str(step), f"{curve[step]['tokens']:,}", *(f"{curve[step][t]:.2f}" for t in tasks)] for step in shown]
    return rows


def answer_rows(tasks: dict[str, Any]) -> list[list[str]]:
    rows = [["task", "measure", "score", "chance", "ends by itself", "looping", "tokens"]]
    for task, found in tasks.items():
        ends = [f"{found['ends_by_itself']:.0%}", f"{found['looping']:.0%}", f"{found['mean_tokens']:.0f}"]
        for name, value in found["measures"].items():
            rows.append([task, name, f"{value['score']:.2f}", f"{value['chance']:.2f}", *ends])
    return rows


def table(rows: list[list[str]]) -> str:
    """Markdown; the first row is the head."""
    lines = [rows[0], ["---"] * len(rows[0]), *rows[1:]]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def read_curve(path: Path) -> dict[int, dict[str, Any]]:
    """step -> {"tokens": ..., what: loss}."""
    found: dict[int, dict[str, Any]] = {}
    with path.open() as file:
        for row in csv.DictReader(file):
            found.setdefault(int(row["step"]), {"tokens": int(row["tokens"])})[row["what"]] = float(row["loss"])
    return found
