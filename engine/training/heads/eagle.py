"""EAGLE-1 (arXiv 2401.15077): a layer that continues the target's own features; the target's head turns them to tokens.

Pair (x_{i+1}, h_i) sits at position i. z = fc [embedding, hidden], then a layer without a norm before its attention.
Loss: smooth L1 to the next feature plus 0.1 of the cross entropy, with noise on the features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.training.heads.base import Chain, Head, at_least, full_states, shifted
from engine.training.heads.block import Block, Layered, linear, sizes_of
from engine.training.heads.layout import layer_tensors, llama_like
from engine.training.lessons import Lesson
from engine.training.teacher import Teacher


@dataclass(frozen=True)
class Options:
    noise: float = at_least(0, 0.1)  # half-width of the uniform noise, in the features' root mean square
    feature_weight: float = at_least(0, 1.0)
    token_weight: float = at_least(0, 0.1)


class Eagle(Head):
    def __init__(self, teacher: Teacher, options: Options) -> None:
        super().__init__(teacher)
        hidden = teacher.config.hidden_size
        self.options = options
        self.fc = linear(2 * hidden, hidden)
        self.block = Block(sizes_of(teacher.config))
        with torch.no_grad():
            self.fc.weight[:, hidden:] = torch.eye(hidden)

    def chain(self, batch: Lesson, noise: bool = False) -> Chain:
        return EagleChain(self, batch, noise)

    def fuse(self, tokens: Tensor, hidden: Tensor) -> Tensor:
        return self.fc(torch.cat((self.teacher.embed(tokens), hidden), -1))

    def noisy(self, hidden: Tensor) -> Tensor:
        size = hidden.square().mean().sqrt() * self.options.noise
        draw = torch.rand(hidden.shape)  # on the CPU: a checkpoint holds its generator
        return hidden + (2 * draw.to(hidden.device) - 1) * size

    def logits(self, states: Tensor, step: int) -> Tensor:
        return self.teacher.logits(states)

    def combine(self, entropy: Tensor, states: Tensor, batch: Lesson, step: int, live: Tensor) -> Tensor:
        features = batch.states(1 + step, batch.width)[live].float()
        distance = F.smooth_l1_loss(states[live].float(), features)
        return self.options.feature_weight * distance + self.options.token_weight * entropy

    def tensors(self) -> dict[str, Tensor]:
        return {"fc.weight": self.fc.weight, **layer_tensors(self.block, "layers.0.")}

    def config(self) -> dict[str, Any]:
        return llama_like(self.teacher.config, "LlamaForCausalLM") | {"bias": False, "tie_word_embeddings": False}


class EagleChain:
    def __init__(self, head: Eagle, batch: Lesson, noise: bool) -> None:
        hidden = full_states(batch)[:, :-1]
        self.head, self.last = head, torch.empty(0)
        self.pairs = head.fuse(shifted(batch), head.noisy(hidden) if noise else hidden)
        self.layer = Layered(head.block, head.rotary(batch), self.pairs, batch.clip(batch.at, 1))

    def step(self, tokens: Tensor) -> Tensor:
        if not self.layer.steps:
            self.last = self.layer.first(self.pairs)
        else:
            fused = self.head.fuse(tokens, self.last)
            self.last = self.layer.next(fused, fused)
        return self.last


HEAD, OPTIONS = Eagle, Options
