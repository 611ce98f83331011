"""Medusa (arXiv 2401.10774): head s sees the target's last hidden state only and says x_{i+2+s}.

One residual block, zero at the start, under a copy of the target's head; the loss of head s weighs 0.8^s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from engine.training.heads.base import Chain, Head, at_least, labels
from engine.training.lessons import Lesson
from engine.training.teacher import Teacher


@dataclass(frozen=True)
class Options:
    num_heads: int = at_least(1, 4)
    step_decay: float = at_least(0, 0.8)
    labels: str = labels("tokens")


class Medusa(Head):
    file = "medusa_lm_head.safetensors"

    def __init__(self, teacher: Teacher, options: Options) -> None:
        super().__init__(teacher)
        hidden, count = teacher.config.hidden_size, options.num_heads
        self.steps = self.most_drafts = count
        self.step_decay, self.labels = options.step_decay, options.labels
        blocks = [nn.Linear(hidden, hidden) for _ in range(count)]
        for made in blocks:
            nn.init.zeros_(made.weight)
            nn.init.zeros_(made.bias)
        self.blocks = nn.ModuleList(blocks)
        self.heads = nn.ParameterList(nn.Parameter(teacher.head.clone()) for _ in range(count))

    def chain(self, batch: Lesson, noise: bool = False) -> Chain:
        return MedusaChain(self, batch)

    def logits(self, states: Tensor, step: int) -> Tensor:
        return F.linear(states, self.heads[step])

    def tensors(self) -> dict[str, Tensor]:
        found: dict[str, Any] = {}
        for index, (block, head) in enumerate(zip(self.blocks, self.heads, strict=True)):
            found |= {f"{index}.0.linear.weight": block.weight, f"{index}.0.linear.bias": block.bias}
            found[f"{index}.1.weight"] = head
        return found

    def config(self) -> dict[str, Any]:
        config = self.teacher.config
        return {
            "architectures": ["MedusaModel"],
            "model_type": "medusa",
            "medusa_num_heads": self.steps,
            "medusa_num_layers": 1,
            "medusa_fc_bias": True,  # of this layout always; vLLM drops the biases where it is not said
            "base_model_name_or_path": str(self.teacher.name),
            "hidden_size": config.hidden_size,
            "vocab_size": config.vocab_size,
        }


class MedusaChain:
    """Its steps do not see each other: what is fed is ignored."""

    def __init__(self, head: Medusa, batch: Lesson) -> None:
        self.head, self.hidden, self.steps = head, batch.states(0, batch.width).float(), 0

    def step(self, tokens: Tensor) -> Tensor:
        block = self.head.blocks[self.steps]
        self.steps += 1
        return self.hidden + F.silu(block(self.hidden))


HEAD, OPTIONS = Medusa, Options
