"""What the trainer asks of a head: chains to train and to test, a loss, and its published files."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import field
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.training.heads.block import Rotary
from engine.training.lessons import Lesson
from engine.training.teacher import Teacher


def labels(default: str) -> Any:
    """An option: what a step is compared with."""
    return field(default=default, metadata={"choices": ("tokens", "distribution")})


def at_least(low: float, default: Any) -> Any:
    """An option with a smallest value."""
    return field(default=default, metadata={"low": low})


class Chain(Protocol):
    """All chains of a batch, advanced together."""

    def step(self, tokens: Tensor) -> Tensor:
        """Feed tokens [B, A] (step s: x_{i+1+s} or a draft in its place) -> states [B, A, H]."""
        ...


class Head(nn.Module, ABC):
    """A draft network beside a frozen target. Parameters carry the names of the published files where that is simple.

    boundaries  layer boundaries of the target that it reads besides the final hidden state
    steps       how many steps of a chain are trained; step s weighs step_decay^s
    labels      what a step is compared with: the target's token, or the target's whole distribution
    """

    boundaries: tuple[int, ...] = ()
    steps: int = 1
    step_decay: float = 1.0
    labels: str = "distribution"
    most_drafts: int | None = None  # a head that cannot draft further
    file: str = "model.safetensors"
    standalone: bool = False  # a model of its own, which needs a tokenizer beside it

    def __init__(self, teacher: Teacher) -> None:
        super().__init__()
        self.teacher = teacher
        self.shown: Tensor | None = None  # ids of the target's vocabulary that it can draft, ascending; None is all

    def prepare(self, batches: Sequence[Lesson]) -> None:
        """Set starting weights from a few batches; called once, before the first step."""

    @abstractmethod
    def chain(self, batch: Lesson, noise: bool = False) -> Chain:
        """Chains at every pair of `batch.at`; `noise` asks for the method's augmentation."""

    @abstractmethod
    def logits(self, states: Tensor, step: int) -> Tensor:
        """states [N, H] of one step -> [N, drafted vocabulary]."""

    @abstractmethod
    def tensors(self) -> dict[str, Tensor]:
        """The published file's tensors by name."""

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """The published config.json."""

    def drafted(self, states: Tensor, step: int) -> Tensor:
        """[..., H] -> the most likely token of the target's vocabulary."""
        best = self.logits(states, step).argmax(-1)
        return best if self.shown is None else self.shown[best]

    def rotary(self, batch: Lesson) -> Rotary:
        return Rotary(*self.teacher.rotation(batch.ids.shape[1] + 64))

    def loss(self, batch: Lesson, noise: bool = False) -> Tensor:
        """The weighted mean over steps of the mean cross entropy."""
        chain, total = self.chain(batch, noise), torch.zeros((), device=batch.ids.device)
        goals = self.goals(batch)
        for step in range(self.steps):
            states = chain.step(batch.tokens(step))
            live = self.counted(batch, step)
            if not live.any():
                break
            entropy = self.cross_entropy(self.logits(states[live], step), batch, goals, step, live)
            total = total + self.step_decay**step * self.combine(entropy, states, batch, step, live)
        return total / sum(self.step_decay**step for step in range(self.steps))

    def combine(self, entropy: Tensor, states: Tensor, batch: Lesson, step: int, live: Tensor) -> Tensor:
        """The loss of one step; a method may add to the cross entropy."""
        return entropy

    def counted(self, batch: Lesson, step: int) -> Tensor:
        """[B, A] which chains count: the token is known, and the head can draft it."""
        live = batch.live(step)
        return live if self.shown is None else live & torch.isin(batch.wanted(step), self.shown)

    @torch.no_grad()
    def goals(self, batch: Lesson) -> Tensor | None:
        """[B, A + steps - 1, drafted vocabulary] the target's distribution over what may be drafted, of x_{i+2} on."""
        if self.labels == "tokens":
            return None
        rows = self.teacher.head if self.shown is None else self.teacher.head[self.shown]
        states = batch.states(1, batch.width + self.steps - 1).to(rows.dtype)
        return torch.softmax(F.linear(states, rows).float(), -1)

    def cross_entropy(self, logits: Tensor, batch: Lesson, goals: Tensor | None, step: int, live: Tensor) -> Tensor:
        """Mean over live chains, in nats."""
        if goals is None:
            wanted = batch.wanted(step)[live]
            if self.shown is not None:
                wanted = torch.searchsorted(self.shown, wanted)
            return F.cross_entropy(logits.float(), wanted)
        goal = goals[:, step : step + batch.width][live]
        return -(goal * torch.log_softmax(logits.float(), -1)).sum(-1).mean()

    def vocabulary_matrices(self) -> list[nn.Parameter]:
        """Parameters with a row for every token: they want another optimizer than the square ones."""
        return [part for part in self.parameters() if part.ndim == 2 and part.shape[0] in self.vocabulary_sizes()]

    def vocabulary_sizes(self) -> tuple[int, ...]:
        size = self.teacher.config.vocab_size
        return (size,) if self.shown is None else (size, len(self.shown))


def full_states(batch: Lesson) -> Tensor:
    """[B, T, H] float32 hidden states after the final norm."""
    assert batch.hidden is not None
    return batch.hidden.float()


def shifted(batch: Lesson) -> Tensor:
    """[B, T - 1] x_{j+1} of every pair j."""
    return batch.ids[:, 1:]
