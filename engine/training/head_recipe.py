"""How a head is trained: budget, batch, learning rates."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class HeadRecipe:
    """`steps` is the budget; `time_limit_minutes`, if given, ends the same schedule earlier on a slow machine."""

    steps: int = 2000
    tokens_per_batch: int = 2048
    max_length: int = 640
    matrix_lr: float = 0.01
    vector_lr: float = 0.001
    weight_decay: float = 0.0
    warmup_steps: int = 50
    decay_share: float = 0.9  # of the training, at its end, during which the learning rate falls to zero
    clip: float = 1.0
    precision: str = "bf16"
    threads: int = 1
    seed: int = 0
    time_limit_minutes: float | None = None
    checkpoint_minutes: float = 2.0
    report_steps: int = 50
    evaluate_steps: int = 500

    def __post_init__(self) -> None:
        if self.precision not in ("bf16", "fp32"):
            raise ValueError(f"precision is {self.precision!r}; allowed: bf16, fp32")
        if not 0 < self.decay_share <= 1:
            raise ValueError(f"decay_share is {self.decay_share}; it must be above 0 and at most 1")
        for name in ("steps", "tokens_per_batch", "max_length", "report_steps", "evaluate_steps", "threads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")

    def progress(self, step: int, seconds: float) -> float:
        """0 at the start, 1 or more when training is over."""
        by_time = seconds / 60 / self.time_limit_minutes if self.time_limit_minutes else 0.0
        return max(step / self.steps, by_time)

    def lr_factor(self, step: int, progress: float) -> float:
        """Warm-up, constant, then linear decay to zero (a trapezoid)."""
        warm = min(1.0, (step + 1) / self.warmup_steps) if self.warmup_steps else 1.0
        return warm * max(0.0, min(1.0, (1 - progress) / self.decay_share))
