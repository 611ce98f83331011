"""The training loop: deterministic batches, atomically replaced checkpoints, resume to the same state."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from engine.training.copying import hold, prepare_to_copy
from engine.training.documents import Batch
from engine.training.muon import Muon
from engine.training.network import Network, Shape
from engine.training.progress import Curve, Progress
from engine.training.recipe import Recipe


class Trainer:
    """Trains one network; `folder` holds checkpoint.pt and loss.csv, `export` is called with each saved network."""

    def __init__(self, shape: Shape, recipe: Recipe, folder: Path, device: str = "cpu") -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.folder, self.device = recipe, folder, device
        network = Network(shape)
        if recipe.copying_start:
            prepare_to_copy(network)
        self.network = network.to(device)
        net = self.network
        self.matrices = [net.qkv, net.out, net.gate_up, net.down]
        self.vectors = [net.embedding, net.norms]
        self.optimizers: list[torch.optim.Optimizer] = [
            Muon(self.matrices, lr=recipe.matrix_lr, weight_decay=recipe.weight_decay),
            torch.optim.AdamW(self.vectors, lr=recipe.vector_lr, betas=(0.9, 0.98), weight_decay=0.0),
        ]
        self.rates = [recipe.matrix_lr, recipe.vector_lr]
        self.step, self.tokens, self.seconds = 0, 0, 0.0
        self.curve = Curve()

    @property
    def done(self) -> float:
        return self.recipe.progress(self.tokens, self.seconds)

    def run(
        self,
        batches: Iterator[Batch],
        held_out: Mapping[str, Sequence[Batch]],
        export: Callable[[Network], None],
        stop_after: int | None = None,
    ) -> None:
        """Train to the end of the budget, or for `stop_after` steps; batches already seen are skipped first."""
        batches = islice(batches, self.step, None)
        progress = Progress(self.recipe, self.tokens, self.seconds)
        saved = time.monotonic()
        last = self.step + stop_after if stop_after else None
        while self.done < 1 and self.step != last:
            began = time.monotonic()
            loss = self.update(next(batches))
            self.seconds += time.monotonic() - began
            progress.add(self.step, self.tokens, self.seconds, loss, self.curve)
            if self.step % self.recipe.evaluate_steps == 0:
                self.curve.held_out(self.step, self.tokens, self.evaluate(held_out))
            if time.monotonic() - saved > 60 * self.recipe.checkpoint_minutes:
                self.save(export)
                saved = time.monotonic()
        self.curve.held_out(self.step, self.tokens, self.evaluate(held_out))
        self.save(export)

    def update(self, batch: Batch) -> float:
        """One optimizer step; returns the mean loss of the batch."""
        factor = self.recipe.lr_factor(self.step, self.done)
        for optimizer, rate in zip(self.optimizers, self.rates, strict=True):
            optimizer.param_groups[0]["lr"] = rate * factor
        loss = self.loss(batch)
        loss.backward()
        if self.recipe.copying_start and self.step < self.recipe.hold_steps:
            hold(self.network)
        torch.nn.utils.clip_grad_norm_(self.vectors, self.recipe.clip)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad()
        self.step += 1
        self.tokens += int((batch.weights > 0).sum())
        return float(loss.detach())

    def loss(self, batch: Batch) -> Tensor:
        """The weighted mean cross entropy."""
        inputs, targets, weights = (part.to(self.device) for part in batch)
        kind = torch.device(self.device).type
        with torch.autocast(kind, torch.bfloat16, enabled=self.recipe.precision == "bf16"):
            return self.network.loss_sum(inputs, targets, weights) / weights.sum()

    @torch.no_grad()
    def evaluate(self, held_out: Mapping[str, Sequence[Batch]]) -> dict[str, float]:
        """The mean loss of the answers, per task."""
        return {task: sum(float(self.loss(batch)) for batch in group) / len(group) for task, group in held_out.items()}

    def state(self) -> dict:
        return {
            "shape": asdict(self.network.shape),
            "network": self.network.state_dict(),
            "step": self.step,
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "tokens": self.tokens,
            "seconds": self.seconds,
            "curve": self.curve.rows,
            "random": torch.get_rng_state(),
        }

    def save(self, export: Callable[[Network], None]) -> None:
        """Write the checkpoint beside the old one, then replace it in one move."""
        self.folder.mkdir(parents=True, exist_ok=True)
        torch.save(self.state(), self.folder / "checkpoint.new")
        os.replace(self.folder / "checkpoint.new", self.folder / "checkpoint.pt")
        self.curve.write(self.folder / "loss.csv")
        export(self.network)

    def resume(self) -> bool:
        """Continue from the checkpoint in the folder; False if there is none."""
        path = self.folder / "checkpoint.pt"
        if not path.exists():
            return False
        state = torch.load(path, map_location=self.device, weights_only=True)
        if state["shape"] != asdict(self.network.shape):
            raise ValueError(f"{path} holds a model of another shape; remove it or train into another folder")
        self.network.load_state_dict(state["network"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.step, self.tokens, self.seconds = state["step"], state["tokens"], state["seconds"]
        self.curve.rows = state["curve"]
        torch.set_rng_state(state["random"].cpu())
        return True
