"""The target as its heads see it: shapes, embeddings, output matrix, and hidden states computed by the engine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.errors import ConfigError
from engine.loading import Target
from engine.models.config import DecoderConfig
from engine.models.loader import Weights
from engine.models.rope import inverse_frequencies, rotations


@dataclass(frozen=True)
class Teacher:
    """embeddings and head [V, H], norm [H] before the head; all stay as they are."""

    folder: Path
    config: DecoderConfig
    embeddings: Tensor
    head: Tensor
    norm: Tensor

    @property
    def name(self) -> str:
        return f"{self.folder.parent.name}/{self.folder.name}"

    def embed(self, ids: Tensor) -> Tensor:
        return F.embedding(ids, self.embeddings)

    def logits(self, hidden: Tensor) -> Tensor:
        """hidden [..., H] after the final norm -> [..., V]."""
        return F.linear(hidden, self.head)

    def rotation(self, positions: int) -> tuple[Tensor, Tensor]:
        """cos and sin [positions, head_dim / 2] of the target's own rotary embedding."""
        table = rotations(*inverse_frequencies(self.config.raw, self.config.head_dim), positions)
        return table.real.to(self.embeddings.device), table.imag.to(self.embeddings.device)


def load_teacher(folder: Path, target: Target) -> Teacher:
    """Its outer tensors in float32, for they take part in the head's training."""
    config, weights = target.config, Weights(folder)
    shape = (config.vocab_size, config.hidden_size)
    embeddings = weights.take("model.embed_tokens.weight", shape, torch.float32, target.device)
    norm = weights.take("model.norm.weight", shape[1:], torch.float32, target.device)
    if config.tie_word_embeddings:
        return Teacher(folder, config, embeddings, embeddings, norm)
    head = weights.take("lm_head.weight", shape, torch.float32, target.device)
    return Teacher(folder, config, embeddings, head, norm)


def checked_boundaries(boundaries: tuple[int, ...], config: DecoderConfig) -> tuple[int, ...]:
    """ConfigError for a layer boundary that the target does not have."""
    for boundary in boundaries:
        if not 0 <= boundary <= config.num_layers:
            raise ConfigError(f"aux layer {boundary} is not a boundary of the target: 0 to {config.num_layers}")
    return boundaries
