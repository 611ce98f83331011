"""MLP speculator (arXiv 2404.19124): stage s mixes a state with the embedding of the last token and says the next.

s <- GELU(LN(proj(s) + (ew / sw) emb(token))), logits = head(s); the first state is the target's hidden state.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.training.heads.base import Chain, Head, at_least, labels
from engine.training.heads.block import linear
from engine.training.lessons import Lesson
from engine.training.teacher import Teacher

EPS = 1e-6


@dataclass(frozen=True)
class Options:
    n_predict: int = at_least(1, 3)
    inner_dim: int = at_least(0, 0)  # 0: as wide as the target's hidden state
    top_k_tokens_per_head: tuple[int, ...] = (5, 4, 3)
    n_candidates: int = 5
    tie_weights: bool = False
    scale_input: bool = True
    labels: str = labels("tokens")


class MlpSpeculator(Head):
    def __init__(self, teacher: Teacher, options: Options) -> None:
        super().__init__(teacher)
        hidden, vocab = teacher.config.hidden_size, teacher.config.vocab_size
        self.options, self.labels = options, options.labels
        self.steps = self.most_drafts = count = options.n_predict
        if len(options.top_k_tokens_per_head) != count:
            raise ValueError(f"top_k_tokens_per_head has {len(options.top_k_tokens_per_head)} entries, not {count}")
        self.inner = inner = options.inner_dim or hidden
        tied = options.tie_weights
        self.state_weight = 0.5 ** (0.5 / count)
        self.emb_weight = math.sqrt((1 - self.state_weight**2) * inner / 2)
        self.emb = shared(count, tied, lambda: linear(inner, vocab))
        self.proj = nn.ModuleList([linear(hidden, inner), *shared(count - 1, tied, lambda: linear(inner, inner))])
        self.ln = shared(count, tied, lambda: ScaledNorm(inner))
        self.head = shared(count, tied, lambda: linear(inner, vocab))
        self.start(teacher)

    @torch.no_grad()
    def start(self, teacher: Teacher) -> None:
        """Random tables as the reference; where the widths agree, the target's own instead, embeddings rescaled."""
        if self.inner == teacher.config.hidden_size:
            for stage in range(self.steps):
                scale = self.inner**-0.5 / teacher.embeddings.std()
                table(self.emb, stage).copy_(teacher.embeddings * scale)
                table(self.head, stage).copy_(teacher.head)

    def chain(self, batch: Lesson, noise: bool = False) -> Chain:
        return SpeculatorChain(self, batch)

    def logits(self, states: Tensor, step: int) -> Tensor:
        return F.linear(states, table(self.head, step))

    def tensors(self) -> dict[str, Tensor]:
        found: dict[str, Any] = {}
        for stage in range(self.steps):
            found |= {
                f"speculator.emb.{stage}.weight": self.emb[stage].weight,
                f"speculator.proj.{stage}.weight": self.proj[stage].weight,
                f"speculator.ln.{stage}.weight": self.ln[stage].weight,
                f"speculator.ln.{stage}.bias": self.ln[stage].bias,
                f"speculator.head.{stage}.weight": self.head[stage].weight,
            }
        return found

    def config(self) -> dict[str, Any]:
        return {
            "architectures": ["MLPSpeculatorPreTrainedModel"],
            "model_type": "mlp_speculator",
            "vocab_size": self.teacher.config.vocab_size,
            "emb_dim": self.teacher.config.hidden_size,
            "inner_dim": self.inner,
            "n_predict": self.steps,
            "top_k_tokens_per_head": list(self.options.top_k_tokens_per_head),
            "n_candidates": self.options.n_candidates,
            "tie_weights": self.options.tie_weights,
            "scale_input": self.options.scale_input,
        }


class ScaledNorm(nn.Module):
    """RMS form with a bias."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        return plain_norm(x) * self.weight + self.bias


class SpeculatorChain:
    def __init__(self, head: MlpSpeculator, batch: Lesson) -> None:
        hidden = batch.states(0, batch.width).float()
        self.head, self.steps = head, 0
        self.state = plain_norm(hidden) / math.sqrt(2) if head.options.scale_input else hidden

    def step(self, tokens: Tensor) -> Tensor:
        head, stage = self.head, self.steps
        mixed = head.proj[stage](self.state) + head.emb_weight / head.state_weight * F.embedding(
            tokens, table(head.emb, stage)
        )
        self.state = F.gelu(head.ln[stage](mixed))
        self.steps += 1
        return self.state


def plain_norm(x: Tensor) -> Tensor:
    x = x.float()
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + EPS)


def table(modules: nn.ModuleList, stage: int) -> Tensor:
    """The weight [V, inner] of a stage's embedding or head."""
    weight = modules[stage].weight
    assert isinstance(weight, Tensor)
    return weight


def shared(count: int, tied: bool, build: Callable[[], nn.Module]) -> nn.ModuleList:
    """`count` modules: each its own, or one many times."""
    one = build()
    return nn.ModuleList([one, *(one if tied else build() for _ in range(count - 1))] if count else [])


HEAD, OPTIONS = MlpSpeculator, Options
