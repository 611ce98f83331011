"""Which tokens an EAGLE-3 head can draft: the most frequent ones of the target's answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import torch
from torch import Tensor

from engine.training.answers import Answered


def draft_vocabulary(rows: Iterable[Answered], size: int, vocab_size: int) -> tuple[Tensor, float]:
    """Ids [size], ascending, and the share of the answers' tokens that they cover; the rest is filled up from id 0."""
    counts = Counter(token for row in rows for token in row.answer)
    chosen = [token for token, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))][:size]
    covered = sum(counts[token] for token in chosen) / max(1, counts.total())
    unseen = (token for token in range(vocab_size) if token not in counts)
    while len(chosen) < size:
        chosen.append(next(unseen))
    return torch.tensor(sorted(chosen)), covered
