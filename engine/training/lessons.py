"""Answers cut into batches of chains. A chain is what a head drafts from one place of an answer.

Notation: x_j the token at position j, h_j the target's hidden state there. The chain at pair i knows x_0 .. x_{i+1} and
h_0 .. h_i, and its step s = 0, 1, ... is to say x_{i+2+s}. Every place of an answer begins a chain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from engine.training.answers import Answered


@dataclass(frozen=True)
class Lesson:
    """A batch of answered prompts, padded on the right.

    ids     [B, T] prompt and answer
    lengths [B]    their number
    first   [B]    pair of the first chain: the last token of the prompt
    width   A      the most chains of a row
    hidden  [B, T, H] after the target's final norm; aux [B, T, n H] at its layer boundaries; both once computed
    """

    ids: Tensor
    lengths: Tensor
    first: Tensor
    width: int
    hidden: Tensor | None = None
    aux: Tensor | None = None

    @property
    def at(self) -> Tensor:
        """[B, A] the pair at which each chain begins."""
        return self.first[:, None] + torch.arange(self.width, device=self.ids.device)

    def live(self, step: int) -> Tensor:
        """[B, A] bool: chains whose token of this step is known."""
        return self.at + 2 + step < self.lengths[:, None]

    def tokens(self, step: int) -> Tensor:
        """[B, A] what step `step` is fed if everything before was right: x_{i+1+step}."""
        return self.ids.gather(1, self.clip(self.at + 1 + step))

    def wanted(self, step: int) -> Tensor:
        """[B, A] what step `step` is to say: x_{i+2+step}."""
        return self.tokens(step + 1)

    def states(self, ahead: int, count: int) -> Tensor:
        """[B, count, H] hidden states of positions first + ahead, first + ahead + 1, ..."""
        assert self.hidden is not None
        places = self.first[:, None] + ahead + torch.arange(count, device=self.ids.device)
        return take(self.hidden, self.clip(places))

    def clip(self, places: Tensor, short: int = 0) -> Tensor:
        """Padded chains look at the last place of the batch (`short` places before it) instead of beyond it."""
        return places.clamp(max=self.ids.shape[1] - 1 - short)

    def to(self, device: torch.device) -> Lesson:
        parts = {name: getattr(self, name) for name in ("ids", "lengths", "first", "hidden", "aux")}
        return replace(self, **{name: part.to(device) for name, part in parts.items() if part is not None})


def take(values: Tensor, places: Tensor) -> Tensor:
    """values [B, T, W] at places [B, N] -> [B, N, W]."""
    return values.gather(1, places[..., None].expand(-1, -1, values.shape[-1]))


def lesson(rows: Sequence[Answered]) -> Lesson:
    """One batch; every row needs an answer of at least two tokens."""
    texts = [row.prompt + row.answer for row in rows]
    length = max(map(len, texts))
    return Lesson(
        ids=torch.tensor([text + [0] * (length - len(text)) for text in texts]),
        lengths=torch.tensor([len(text) for text in texts]),
        first=torch.tensor([len(row.prompt) - 1 for row in rows]),
        width=max(len(row.answer) for row in rows) - 1,
    )


def lessons(rows: Sequence[Answered], tokens_per_batch: int, max_length: int) -> list[Lesson]:
    """Batches of at most `tokens_per_batch` tokens, rows of like length together; an answer that is too long is cut."""
    short = [row._replace(answer=row.answer[: max_length - len(row.prompt)]) for row in rows]
    fit = sorted(
        (row for row in short if len(row.answer) >= 2 and len(row.prompt) + len(row.answer) <= max_length),
        key=lambda row: (len(row.prompt) + len(row.answer), row.prompt),
    )
    groups: list[list[Answered]] = []
    for row in fit:
        size = len(row.prompt) + len(row.answer)
        if not groups or (len(groups[-1]) + 1) * size > tokens_per_batch:
            groups.append([])
        groups[-1].append(row)
    return [lesson(group) for group in groups]
