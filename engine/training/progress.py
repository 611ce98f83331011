"""What a training run tells: a line now and then, and the curve of its losses as CSV."""

from __future__ import annotations

import csv
from pathlib import Path

from engine.training.recipe import Recipe


class Curve:
    """Rows of (step, tokens, what, loss); what is "train" or the name of a held-out task."""

    def __init__(self) -> None:
        self.rows: list[list] = []

    def train(self, step: int, tokens: int, loss: float) -> None:
        self.rows.append([step, tokens, "train", round(loss, 4)])

    def held_out(self, step: int, tokens: int, losses: dict[str, float]) -> None:
        self.rows += [[step, tokens, task, round(loss, 4)] for task, loss in losses.items()]
        print("  held out: " + "  ".join(f"{task} {loss:.3f}" for task, loss in losses.items()), flush=True)

    def write(self, path: Path) -> None:
        with path.open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["step", "tokens", "what", "loss"])
            writer.writerows(self.rows)


class Progress:
    """Prints a line every `report_steps` steps: mean loss since the last one, speed, time left."""

    def __init__(self, recipe: Recipe, tokens: int, seconds: float) -> None:
        self.recipe, self.tokens, self.seconds = recipe, tokens, seconds
        self.losses: list[float] = []

    def add(self, step: int, tokens: int, seconds: float, loss: float, curve: Curve) -> None:
        self.losses.append(loss)
        if step % self.recipe.report_steps:
            return
        mean = sum(self.losses) / len(self.losses)
        speed = (tokens - self.tokens) / max(seconds - self.seconds, 1e-9)
        done = self.recipe.progress(tokens, seconds)
        left = seconds / max(done, 1e-9) * (1 - done) / 60
        curve.train(step, tokens, mean)
        print(
            f"step {step}  tokens {tokens:,}  loss {mean:.3f}  {speed:,.0f} tokens/s  {100 * done:.1f} % done, "
            f"{left:.0f} min left",
            flush=True,
        )
        self.losses, self.tokens, self.seconds = [], tokens, seconds
