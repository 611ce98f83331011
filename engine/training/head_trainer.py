"""The training loop of all heads: deterministic batches, atomically replaced checkpoints, resume to the same state."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from engine.training.acceptance import Acceptance, acceptance
from engine.training.features import Features
from engine.training.head_recipe import HeadRecipe
from engine.training.heads.base import Head
from engine.training.lessons import Lesson
from engine.training.muon import Muon
from engine.training.progress import Curve

PREPARE = 8  # batches that a head sees before the first step
# What may change when a run is resumed.
HARMLESS = ("threads", "checkpoint_minutes", "report_steps", "evaluate_steps")


class HeadTrainer:
    """Trains one head; `folder` holds checkpoint.pt and loss.csv. `identity` says what a checkpoint belongs to."""

    def __init__(self, head: Head, recipe: HeadRecipe, folder: Path, identity: Mapping[str, Any]) -> None:
        self.head, self.recipe, self.folder = head, recipe, folder
        self.identity = {**identity, "recipe": {k: v for k, v in asdict(recipe).items() if k not in HARMLESS}}
        square, other = split_parameters(head)
        self.other = other
        self.optimizers: list[tuple[torch.optim.Optimizer, float]] = [
            (torch.optim.AdamW(other, lr=recipe.vector_lr, betas=(0.9, 0.98), weight_decay=0.0), recipe.vector_lr)
        ]
        if square:
            muon = Muon(square, lr=recipe.matrix_lr, weight_decay=recipe.weight_decay)
            self.optimizers.append((muon, recipe.matrix_lr))
        self.step, self.tokens, self.seconds = 0, 0, 0.0
        self.curve = Curve()

    @property
    def done(self) -> float:
        return self.recipe.progress(self.step, self.seconds)

    def run(self, lessons: Features, held_out: Sequence[Lesson], stop_after: int | None = None) -> None:
        """Train to the end of the budget, or for `stop_after` steps."""
        if not self.step:
            count = len(lessons.batches)
            self.head.prepare([lessons.get(index) for index in range(0, count, -(-count // PREPARE))])
        report, saved = Report(self), time.monotonic()
        last = self.step + stop_after if stop_after else None
        while self.done < 1 and self.step != last:
            began = time.monotonic()
            loss, tokens = self.update(lessons.get(self.chosen(len(lessons.batches))))
            self.seconds += time.monotonic() - began
            self.tokens += tokens
            report.add(loss)
            if self.step % self.recipe.evaluate_steps == 0:
                self.curve.held_out(self.step, self.tokens, {"held out": self.evaluate(held_out)})
            if time.monotonic() - saved > 60 * self.recipe.checkpoint_minutes:
                self.save()
                saved = time.monotonic()
        self.curve.held_out(self.step, self.tokens, {"held out": self.evaluate(held_out)})
        self.save()

    def chosen(self, count: int) -> int:
        """The batch of this step: every epoch takes all of them in an order of its own."""
        epoch, place = divmod(self.step, count)
        order = list(range(count))
        random.Random(f"{self.recipe.seed}/{epoch}").shuffle(order)
        return order[place]

    def update(self, batch: Lesson) -> tuple[float, int]:
        """One optimizer step; the mean loss of the batch, and the number of its chains."""
        factor = self.recipe.lr_factor(self.step, self.done)
        loss = self.loss(batch, noise=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.other, self.recipe.clip)
        for optimizer, rate in self.optimizers:
            optimizer.param_groups[0]["lr"] = rate * factor
            optimizer.step()
            optimizer.zero_grad()
        self.step += 1
        return float(loss.detach()), int(batch.live(0).sum())

    def loss(self, batch: Lesson, noise: bool = False) -> Tensor:
        kind = batch.ids.device.type
        with torch.autocast(kind, torch.bfloat16, enabled=self.recipe.precision == "bf16"):
            return self.head.loss(batch, noise)

    @torch.no_grad()
    def evaluate(self, batches: Sequence[Lesson]) -> float:
        return sum(float(self.loss(batch)) for batch in batches) / max(1, len(batches))

    def accepted(self, batches: Mapping[str, Sequence[Lesson]], steps: int) -> dict[str, Acceptance]:
        """Free-running acceptance by task."""
        return {task: acceptance(self.head, group, steps) for task, group in batches.items()}

    def state(self) -> dict[str, Any]:
        return {
            "identity": self.identity,
            "head": self.head.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer, _ in self.optimizers],
            "step": self.step,
            "tokens": self.tokens,
            "seconds": self.seconds,
            "curve": self.curve.rows,
            "random": torch.get_rng_state(),
        }

    def save(self) -> None:
        """Write the checkpoint beside the old one, then replace it in one move."""
        self.folder.mkdir(parents=True, exist_ok=True)
        torch.save(self.state(), self.folder / "checkpoint.new")
        os.replace(self.folder / "checkpoint.new", self.folder / "checkpoint.pt")
        self.curve.write(self.folder / "loss.csv")

    def resume(self) -> bool:
        """Continue from the checkpoint in the folder; False if there is none, ValueError for another training's."""
        path = self.folder / "checkpoint.pt"
        if not path.exists():
            return False
        device = next(self.head.parameters()).device
        state = torch.load(path, map_location=device, weights_only=True)
        changed = [key for key, value in self.identity.items() if state["identity"].get(key) != value]
        if changed:
            raise ValueError(
                f"{path} belongs to a training with another {changed[0]}; remove {self.folder} or give train.folder"
            )
        self.head.load_state_dict(state["head"])
        for (optimizer, _), saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.step, self.tokens, self.seconds = state["step"], state["tokens"], state["seconds"]
        self.curve.rows = state["curve"]
        torch.set_rng_state(state["random"].cpu())
        return True


def split_parameters(head: Head) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Matrices between hidden states, for Muon; and all else, for AdamW."""
    tall = {id(part) for part in head.vocabulary_matrices()}
    parts = [part for part in head.parameters() if part.requires_grad]
    square = [part for part in parts if part.ndim == 2 and id(part) not in tall]
    return square, [part for part in parts if part.ndim != 2 or id(part) in tall]


class Report:
    """Prints a line every `report_steps` steps: mean loss since the last one, speed, time left."""

    def __init__(self, trainer: HeadTrainer) -> None:
        self.trainer, self.losses = trainer, []  # type: tuple[HeadTrainer, list[float]]
        self.tokens, self.seconds = trainer.tokens, trainer.seconds

    def add(self, loss: float) -> None:
        trainer = self.trainer
        self.losses.append(loss)
        if trainer.step % trainer.recipe.report_steps:
            return
        mean = sum(self.losses) / len(self.losses)
        speed = (trainer.tokens - self.tokens) / max(trainer.seconds - self.seconds, 1e-9)
        left = trainer.seconds / max(trainer.done, 1e-9) * (1 - trainer.done) / 60
        trainer.curve.train(trainer.step, trainer.tokens, mean)
        print(
            f"step {trainer.step}/{trainer.recipe.steps}  loss {mean:.3f}  {speed:,.0f} chains/s  "
            f"{max(0.0, left):.1f} min left",
            flush=True,
        )
        self.losses, self.tokens, self.seconds = [], trainer.tokens, trainer.seconds
