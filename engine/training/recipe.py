"""How a model is trained: budget, batch, learning rates. Machine independent, but for the optional time limit."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """`tokens` is the budget; `time_limit_minutes`, if given, ends the same schedule earlier on a slow machine."""

    tokens: int = 15_000_000
    tokens_per_batch: int = 2048
    max_length: int = 640
    prompt_weight: float = 0.2
    matrix_lr: float = 0.01
    vector_lr: float = 0.001
    weight_decay: float = 0.05
    warmup_steps: int = 60
    decay_share: float = 0.95  # of the training, at its end, during which the learning rate falls to zero
    clip: float = 1.0
    copying_start: bool = True  # engine/training/copying.py
    hold_steps: int = 500  # during which the prepared heads stay as they are
    precision: str = "bf16"
    threads: int = 1
    seed: int = 0
    time_limit_minutes: float | None = None
    checkpoint_minutes: float = 4.0
    report_steps: int = 25
    evaluate_steps: int = 250

    def __post_init__(self) -> None:
        if self.precision not in ("bf16", "fp32"):
            raise ValueError(f"precision is {self.precision!r}; allowed: bf16, fp32")
        if not 0 < self.decay_share <= 1:
            raise ValueError(f"decay_share is {self.decay_share}; it must be above 0 and at most 1")

    def progress(self, tokens: int, seconds: float) -> float:
        """0 at the start, 1 or more when training is over."""
        by_time = seconds / 60 / self.time_limit_minutes if self.time_limit_minutes else 0.0
        return max(tokens / self.tokens, by_time)

    def lr_factor(self, step: int, progress: float) -> float:
        """Warm-up, constant, then linear decay to zero (a trapezoid)."""
        warm = min(1.0, (step + 1) / self.warmup_steps)
        return warm * max(0.0, min(1.0, (1 - progress) / self.decay_share))
