"""What lies beside a trained head: training.json, loss.csv and a card (README.md) that says how good it is."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import reduce
from pathlib import Path
from typing import Any

from autotune.card import table
from autotune.train_settings import HeadSettings
from engine.training.acceptance import Acceptance
from engine.training.answers import Answered
from engine.training.head_trainer import HeadTrainer

LOSS_ROWS = 8
TEXT = """# {name}

A draft head of method `{method}` for [{model}](../{target_name}): {parameters:,} trained parameters. Weights are
bfloat16; float16 represents every trained one exactly. Apache-2.0.

## Use

    python -m autotune model={model} method={method} method.model={shown}

## Training

    {command}

{answers:,} answers ({kinds}) to prompts of workload `{workload}`, split `{split}`; {chains:,} places to draft from.
{steps:,} steps, {trained:,} chains, {minutes:.0f} minutes on {threads} thread(s) of {cpu}, {precision} products with
fp32 weights. Muon (rate {matrix_lr}) for the matrices between hidden states, AdamW ({vector_lr}) for all else,
batches of {tokens_per_batch:,} tokens, warm-up of {warmup_steps} steps, linear decay to zero over the last
{decay_share:.0%}. Options: {options}. {note}

## Loss

Nats a token, or what the method's paper adds to them (every point: `loss.csv`).

{losses}

## Held-out acceptance

Greedy drafts of {draft_tokens} tokens on the target's own greedy answers to {held_out} prompts of split
`{held_out_split}`, walked as the engine walks them. Position k: share of drafts whose tokens 0 to k were all accepted.
Mean length: 1 + accepted / drafts.

{acceptance}
"""


def write_record(
    settings: HeadSettings, trainer: HeadTrainer, accepted: Mapping[str, Acceptance], rows: Sequence[Answered]
) -> None:
    """All three files, and the acceptance on the console."""
    folder = settings.export
    print("\n".join(plain(acceptance_rows(accepted))), flush=True)
    found = record(settings, trainer, accepted, rows)
    (folder / "training.json").write_text(json.dumps(found, indent=2) + "\n")
    trainer.curve.write(folder / "loss.csv")
    (folder / "README.md").write_text(render(found, trainer.curve.rows, folder))


def record(
    settings: HeadSettings, trainer: HeadTrainer, accepted: Mapping[str, Acceptance], rows: Sequence[Answered]
) -> dict[str, Any]:
    kinds = sorted({row.how for row in rows})
    return {
        "name": settings.export.name,
        "method": settings.method,
        "model": settings.model,
        "target_name": settings.target.name,
        "command": settings.command,
        "workload": settings.workload.name,
        "parameters": sum(part.numel() for part in trainer.head.parameters()),
        "answers": {kind: sum(row.how == kind for row in rows) for kind in kinds},
        "answer_tokens": sum(len(row.answer) for row in rows),
        "answer_settings": asdict(settings.answers),
        "head": asdict(settings.head),
        "recipe": asdict(trainer.recipe),
        "note": settings.note,
        "steps": trainer.step,
        "chains": trainer.tokens,
        "minutes": trainer.seconds / 60,
        "cpu": platform.processor() or platform.machine(),
        "draft_tokens": settings.draft_tokens,
        "acceptance": {task: found.record() for task, found in with_all(accepted).items()},
    }


def render(found: Mapping[str, Any], curve: Sequence[Sequence[Any]], folder: Path) -> str:
    """The whole README.md."""
    wanted, answers = found["answer_settings"], found["answers"]
    values = {**found["recipe"], **found, "answers": sum(answers.values())}
    values["trained"], values["chains"] = found["chains"], found["answer_tokens"] - sum(answers.values())
    values["kinds"] = ", ".join(f"{number:,} {kind}" for kind, number in answers.items())
    values["split"], values["held_out_split"] = wanted["split"], wanted["held_out_split"]
    values["held_out"] = wanted["held_out_prompts"]
    values["options"] = ", ".join(f"{key} {value}" for key, value in found["head"].items())
    values["shown"] = f"models/{folder.name}" if folder.parent.name == "models" else str(folder.name)
    values["losses"] = table(loss_rows(curve))
    values["acceptance"] = table(recorded_rows(found["acceptance"]))
    return TEXT.format(**values)


def with_all(accepted: Mapping[str, Acceptance]) -> dict[str, Acceptance]:
    """The tasks, and all of them together where there are several."""
    if len(accepted) < 2:
        return dict(accepted)
    return {**accepted, "all": reduce(Acceptance.plus, accepted.values())}


def acceptance_rows(accepted: Mapping[str, Acceptance]) -> list[list[str]]:
    return recorded_rows({task: found.record() for task, found in with_all(accepted).items()})


def recorded_rows(accepted: Mapping[str, Any]) -> list[list[str]]:
    steps = max(len(found["per_position"]) for found in accepted.values())
    rows = [["held out", "drafts", *(f"position {k}" for k in range(steps)), "mean length"]]
    for task, found in accepted.items():
        shares = [f"{share:.3f}" for share in found["per_position"]]
        rows.append([task, f"{found['drafts']:,}", *shares, f"{found['mean_length']:.2f}"])
    return rows


def loss_rows(curve: Sequence[Sequence[Any]]) -> list[list[str]]:
    """At most `LOSS_ROWS` of the evaluations, with the training loss nearest before them."""
    checks = [row for row in curve if row[2] == "held out"]
    most = min(LOSS_ROWS, len(checks))
    shown = sorted({round(index * (len(checks) - 1) / max(1, most - 1)) for index in range(most)})
    rows = [["step", "training", "held out"]]
    for step, _, _, loss in (checks[index] for index in shown):
        before = [row[3] for row in curve if row[2] == "train" and row[0] <= step]
        rows.append([f"{step:,}", f"{before[-1]:.3f}" if before else "-", f"{loss:.3f}"])
    return rows


def plain(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns aligned for a console."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
