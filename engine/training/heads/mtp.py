"""A multi-token-prediction module in the layout of MiMo-7B (arXiv 2505.07608), added to a frozen target.

z = input_proj [hidden_layernorm(h), token_layernorm(embedding)], with h before the target's final norm (vLLM's choice
for MiMo), one Qwen2 layer, final_layernorm; that output goes to the target's head and is fed back. The embedding at
position 0 is zero. The engine uses module 0 for every step, so it is trained on its own output for several steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from engine.detection import TRAINED_STEPS
from engine.models.config import DecoderConfig
from engine.models.loader import Weights
from engine.training.heads.base import Chain, Head, at_least, labels, shifted
from engine.training.heads.block import Block, Layered, RMSNorm, linear, sizes_of
from engine.training.heads.layout import check_mimo, layer_tensors, mimo_config, mimo_target
from engine.training.lessons import Lesson
from engine.training.teacher import Teacher


@dataclass(frozen=True)
class Options:
    steps: int = at_least(1, 3)
    step_decay: float = at_least(0, 0.8)
    labels: str = labels("distribution")


class Mtp(Head):
    standalone = True

    def __init__(self, teacher: Teacher, options: Options) -> None:
        super().__init__(teacher)
        config, hidden = teacher.config, teacher.config.hidden_size
        self.steps, self.step_decay, self.labels = options.steps, options.step_decay, options.labels
        self.boundaries = (config.num_layers,)
        self.input_proj = linear(2 * hidden, hidden)
        self.hidden_layernorm = RMSNorm(hidden, config.rms_norm_eps)
        self.token_layernorm = RMSNorm(hidden, config.rms_norm_eps)
        self.input_layernorm = RMSNorm(hidden, config.rms_norm_eps)
        self.final_layernorm = RMSNorm(hidden, config.rms_norm_eps)
        self.block = Block(sizes_of(config, bias=True))
        with torch.no_grad():
            self.input_proj.weight[:, :hidden] = torch.eye(hidden)
            self.final_layernorm.weight.copy_(teacher.norm)

    def chain(self, batch: Lesson, noise: bool = False) -> Chain:
        return MtpChain(self, batch)

    def fuse(self, embedded: Tensor, hidden: Tensor) -> Tensor:
        return self.input_proj(torch.cat((self.hidden_layernorm(hidden), self.token_layernorm(embedded)), -1))

    def logits(self, states: Tensor, step: int) -> Tensor:
        return self.teacher.logits(states)

    def tensors(self) -> dict[str, Tensor]:
        prefix = "model.mtp_layers.0."
        norms = ("hidden_layernorm", "token_layernorm", "final_layernorm", "input_layernorm")
        return {
            **mimo_target(Weights(self.teacher.folder), self.teacher.config),
            f"{prefix}input_proj.weight": self.input_proj.weight,
            **{f"{prefix}{norm}.weight": getattr(self, norm).weight for norm in norms},
            **layer_tensors(self.block, prefix),
        }

    def config(self) -> dict[str, Any]:
        return mimo_config(self.teacher.config) | {TRAINED_STEPS: self.steps}


class MtpChain:
    def __init__(self, head: Mtp, batch: Lesson) -> None:
        embedded = head.teacher.embed(shifted(batch)).clone()
        embedded[:, 0] = 0
        self.head, self.last = head, torch.empty(0)
        assert batch.aux is not None
        self.pairs = head.fuse(embedded, batch.aux[:, :-1].float())
        inputs = head.input_layernorm(self.pairs)
        self.layer = Layered(head.block, head.rotary(batch), inputs, batch.clip(batch.at, 1))

    def step(self, tokens: Tensor) -> Tensor:
        if not self.layer.steps:
            out = self.layer.first(self.pairs)
        else:
            fused = self.head.fuse(self.head.teacher.embed(tokens), self.last)
            out = self.layer.next(self.head.input_layernorm(fused), fused)
        self.last = self.head.final_layernorm(out)
        return self.last


def check(options: Options, config: DecoderConfig) -> None:
    """ConfigError for a target that the layout cannot hold."""
    check_mimo(config)


HEAD, OPTIONS = Mtp, Options
