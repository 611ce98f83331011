"""What this benchmark reaches inside the engine for, in one place: captured steps, and requests left behind."""

import gc
from collections.abc import Callable
from typing import Protocol

import torch

from engine import Engine

Replay = Callable[[], None]


class Steps(Protocol):
    """Functions to replay: one target step of batch * q_len rows, one whole draft loop."""

    def target_step(self, engine: Engine, batch: int, q_len: int, context: int) -> Replay: ...
    def draft_loop(self, engine: Engine, batch: int, num_tokens: int, context: int) -> Replay: ...


def engine_steps() -> Steps:
    from engine.captured import bench

    return bench


def abandon(engine: Engine) -> None:
    """End what an error left running, so that the engine can be used again."""
    for sequence in [*engine._scheduler.running, *engine._scheduler.waiting]:
        engine.abort_request(sequence.request_id)


def forget(device: torch.device) -> None:
    """Give memory that nobody holds back to the GPU."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
