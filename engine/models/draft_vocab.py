"""The vocabulary of a draft head that speaks only some of the target's tokens."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from engine.errors import ConfigError
from engine.models.loader import Weights


@dataclass(frozen=True)
class DraftVocab:
    """`ids` [size] are the target's ids of the draft's tokens; None says that both vocabularies are one."""

    size: int
    target_size: int
    ids: Tensor | None

    @classmethod
    def load(cls, weights: Weights, raw: Mapping[str, Any], target_size: int, device: torch.device) -> "DraftVocab":
        """Read d2t (offsets: target id = draft id + d2t[draft id]) and check it against t2d (which ids are spoken)."""
        size = raw.get("draft_vocab_size") or target_size
        if not weights.has("d2t") and size == target_size:
            return cls(size, target_size, None)
        offsets = weights.take("d2t", (size,), torch.int64, torch.device("cpu"))
        ids = torch.arange(size) + offsets
        if weights.has("t2d"):
            _check(ids, weights.take("t2d", (target_size,), torch.bool, torch.device("cpu")), weights)
        if not 0 <= int(ids.min()) <= int(ids.max()) < target_size:
            raise ConfigError(f"d2t in {weights.folder} leads outside the target's vocabulary of {target_size}")
        return cls(size, target_size, ids.to(device))

    def named(self, tokens: Tensor) -> Tensor:
        """The target's ids of the draft's."""
        return tokens if self.ids is None else self.ids.index_select(0, tokens)

    def spread(self, logits: Tensor) -> Tensor:
        """[rows, size] -> [rows, target_size], -inf where the draft has no token."""
        if self.ids is None:
            return logits
        wide = logits.new_full((logits.shape[0], self.target_size), float("-inf"))
        return wide.index_copy_(1, self.ids, logits)


def _check(ids: Tensor, spoken: Tensor, weights: Weights) -> None:
    if not torch.equal(ids.sort().values, spoken.nonzero()[:, 0]):
        raise ConfigError(f"d2t and t2d in {weights.folder} disagree: arange + d2t must be the ids that t2d marks")
