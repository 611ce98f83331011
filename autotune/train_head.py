"""Train a draft head: `python -m autotune.train method=eagle3 model=tiny [workload=mixed] [train.KEY=VALUE]`.

The target answers prompts of the workload's train split; its hidden states on them are what the head learns from. The
same command continues a run that was cut off. At the end the head drafts freely on held-out prompts.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from autotune import head_prompts
from autotune.errors import UsageError
from autotune.head_card import write_record
from autotune.models import PICKLED, PROJECT, SAFE
from autotune.train_settings import HeadSettings, load
from engine.core import Engine
from engine.loading import Target, load_target
from engine.models.config import read_config
from engine.sampling_params import SamplingParams
from engine.text import Text
from engine.training.answers import Answered, answered
from engine.training.draft_vocab import draft_vocabulary
from engine.training.features import Features
from engine.training.head_export import export_head, round_parameters
from engine.training.head_trainer import HeadTrainer
from engine.training.heads import find
from engine.training.heads.base import Head
from engine.training.lessons import Lesson, lessons
from engine.training.teacher import load_teacher

GIB = 2**30


def main(method: str, arguments: list[str]) -> int:
    settings = load(method, arguments)
    recipe = settings.recipe
    length = min(recipe.max_length, read_config(settings.target).max_position_embeddings)
    target = load_target(settings.target, length, settings.dtype, settings.device, recipe.threads)
    check = getattr(find(method), "check", None)
    if check is not None:
        check(settings.head, target.config)
    key = fingerprint(settings.target)
    identity = {"target": key, "head": asdict(settings.head), "answers": sources(settings)}
    rows, held_out = answers(settings, target, key)
    torch.manual_seed(recipe.seed)
    head = build_head(settings, target, rows)
    train = Features(
        target, lessons(rows, recipe.tokens_per_batch, recipe.max_length), head.boundaries, settings.feature_gib * GIB
    )
    checks = checked(settings, target, head, held_out)
    trainer = HeadTrainer(head, recipe, settings.folder, identity)
    resumed = trainer.resume()
    print(summary(settings, head, train, rows), flush=True)
    print(f"resuming at step {trainer.step}" if resumed else "starting", flush=True)
    trainer.run(train, [batch for group in checks.values() for batch in group])
    finish(settings, trainer, checks, rows)
    return 0


def finish(settings: HeadSettings, trainer: HeadTrainer, checks: dict[str, list[Lesson]], rows: list[Answered]) -> None:
    """Export, measure what was exported, and leave the record beside it."""
    export_head(trainer.head, settings.export)
    round_parameters(trainer.head)
    accepted = trainer.accepted(checks, settings.draft_tokens)
    write_record(settings, trainer, accepted, rows)
    shown = settings.export.relative_to(PROJECT) if settings.export.is_relative_to(PROJECT) else settings.export
    print(f"exported to {shown}", flush=True)


def answers(settings: HeadSettings, target: Target, target_key: str) -> tuple[list[Answered], list[Answered]]:
    """What the head learns from, and the held-out answers; generated once for all heads of this target."""
    wanted, work = settings.answers, settings.workload
    engine = Engine(target, Text(settings.target), None, wanted.batch, 1024, wanted.seed)
    folder = PROJECT / wanted.folder / f"{settings.model}-{work.name}-{short_hash([target_key, sources(settings)])}"
    length = target.max_model_len
    tokens = wanted.max_tokens or work.max_tokens
    found = head_prompts.requests(work, wanted.split, wanted.prompts + wanted.references, wanted.seed)
    own = head_prompts.prompts(found[: wanted.prompts], engine.tokenizer, length)
    cut = len(own) - math.floor(len(own) * wanted.sampled)
    greedy = SamplingParams(temperature=0.0, max_tokens=tokens)
    drawn = SamplingParams(temperature=wanted.temperature, max_tokens=tokens)
    kept = head_prompts.requests(work, wanted.held_out_split, wanted.held_out_prompts, wanted.seed)
    held_out = head_prompts.prompts(kept, engine.tokenizer, length)
    eos = target.config.eos_token_ids[0] if target.config.eos_token_ids else None
    rows = head_prompts.joined(
        answered(engine, own[:cut], folder, greedy),
        answered(engine, own[cut:], folder, drawn, "sampled"),
        head_prompts.references(found[wanted.prompts :], engine.tokenizer, length, eos),
    )
    return rows, answered(engine, held_out, folder, greedy, "held-out")


def build_head(settings: HeadSettings, target: Target, rows: list[Answered]) -> Head:
    """The network on the target's device; a head with a vocabulary of its own also gets that."""
    module, teacher = find(settings.method), load_teacher(settings.target, target)
    extra = []
    size = getattr(settings.head, "draft_vocab_size", None)
    if size is not None:
        shown, covered = draft_vocabulary(rows, size, target.config.vocab_size)
        print(
            f"draft vocabulary: {size} of {target.config.vocab_size} tokens, {covered:.2%} of the answers", flush=True
        )
        extra.append(shown.to(target.device))
    return module.HEAD(teacher, settings.head, *extra).to(target.device)


def checked(settings: HeadSettings, target: Target, head: Head, held_out: list[Answered]) -> dict[str, list[Lesson]]:
    """Held-out batches with hidden states, by task."""
    recipe, found = settings.recipe, {}
    for task, rows in head_prompts.by_task(held_out).items():
        batches = lessons(rows, recipe.tokens_per_batch, recipe.max_length)
        if batches:
            features = Features(target, batches, head.boundaries, 0)
            found[task] = [features.get(index) for index in range(len(batches))]
    if not found:
        raise UsageError("no held-out answer has two tokens or more; raise train.answers.held_out_prompts")
    return found


def sources(settings: HeadSettings) -> dict[str, Any]:
    """What the answers depend on, besides the target."""
    wanted, work = asdict(settings.answers), settings.workload
    del wanted["folder"], wanted["batch"]
    wanted["max_tokens"] = wanted["max_tokens"] or work.max_tokens
    return {**wanted, "source": work.source, "options": work.options, "max_length": settings.recipe.max_length}


def fingerprint(folder: Path) -> str:
    """Of a model: its config, and size and first MiB of every weight file."""
    found = hashlib.sha256((folder / "config.json").read_bytes())
    for path in sorted(path for pattern in (SAFE, *PICKLED) for path in folder.glob(pattern)):
        found.update(f"{path.name} {path.stat().st_size}".encode())
        with path.open("rb") as file:
            found.update(file.read(2**20))
    return found.hexdigest()[:16]


def short_hash(values: object) -> str:
    return hashlib.sha256(repr(values).encode()).hexdigest()[:8]


def summary(settings: HeadSettings, head: Head, train: Features, rows: list[Answered]) -> str:
    chains = sum(int(batch.live(0).sum()) for batch in train.batches)
    kept = "kept in memory" if train.fits else "computed anew in every epoch"
    size = sum(part.numel() for part in head.parameters())
    return (
        f"{settings.method} for {settings.model}: {size:,} parameters, {len(rows):,} answers with {chains:,} chains in "
        f"{len(train.batches)} batches, hidden states of {train.num_bytes / GIB:.2f} GiB {kept}"
    )
