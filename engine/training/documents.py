"""Documents to rows of token ids with a loss weight a token. A document is a list of (role, text) pairs."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import torch
from tokenizers import Tokenizer
from torch import Tensor

from engine.training.tokenizer import BOS, EOS, ROLES

Document = Sequence[tuple[str, str]]
POOL = 64  # batches whose rows are sorted by length together, so that little is padded


class Row(NamedTuple):
    """A conversation as token ids, and for each id how much predicting it counts."""

    ids: list[int]
    weights: list[float]


class Batch(NamedTuple):
    """inputs, targets [rows, length] int64; weights [rows, length] float32, zero where padded."""

    inputs: Tensor
    targets: Tensor
    weights: Tensor


class Encoder:
    """Documents in the chat format: the answers count fully, everything else `prompt_weight`."""

    def __init__(self, tokenizer: Tokenizer, prompt_weight: float, max_length: int) -> None:
        self.tokenizer, self.prompt_weight, self.max_length = tokenizer, prompt_weight, max_length
        self.bos, self.eos = token_id(tokenizer, BOS), token_id(tokenizer, EOS)
        self.roles = {role: token_id(tokenizer, token) for role, token in ROLES.items()}

    def __call__(self, document: Document, prompt_weight: float | None = None) -> Row:
        low = self.prompt_weight if prompt_weight is None else prompt_weight
        ids, weights = [self.bos], [0.0]
        for role, text in document:
            answer = role == "assistant"
            part = self.tokenizer.encode(text, add_special_tokens=False).ids + ([self.eos] if answer else [])
            ids += [self.roles[role], *part]
            weights += [0.0, *[1.0 if answer else low] * len(part)]
        return Row(ids[: self.max_length + 1], weights[: self.max_length + 1])


def token_id(tokenizer: Tokenizer, token: str) -> int:
    found = tokenizer.token_to_id(token)
    if found is None:
        raise ValueError(f"the tokenizer has no token {token}; it needs {BOS}, {EOS} and {', '.join(ROLES.values())}")
    return found


def collate(rows: Sequence[Row], pad: int) -> Batch:
    """Rows padded on the right to the longest; a padded position has weight zero."""
    length = max(len(row.ids) for row in rows) - 1
    ids = torch.tensor([row.ids + [pad] * (length + 1 - len(row.ids)) for row in rows])
    weights = torch.tensor([row.weights[1:] + [0.0] * (length + 1 - len(row.weights)) for row in rows])
    return Batch(ids[:, :-1], ids[:, 1:], weights)


def batches(rows: Iterable[Row], tokens_per_batch: int, pad: int, seed: int) -> Iterator[Batch]:
    """Batches of about `tokens_per_batch` tokens, rows of like length together, batches in random order."""
    shuffle = random.Random(seed)
    pool: list[Row] = []
    size = 0
    for row in rows:
        pool.append(row)
        size += len(row.ids)
        if size >= POOL * tokens_per_batch:
            yield from pooled(pool, tokens_per_batch, pad, shuffle)
            pool, size = [], 0
    if pool:
        yield from pooled(pool, tokens_per_batch, pad, shuffle)


def pooled(pool: list[Row], tokens_per_batch: int, pad: int, shuffle: random.Random) -> Iterator[Batch]:
    groups: list[list[Row]] = [[]]
    for row in sorted(pool, key=lambda row: len(row.ids)):
        if groups[-1] and (len(groups[-1]) + 1) * len(row.ids) > tokens_per_batch:
            groups.append([])
        groups[-1].append(row)
    shuffle.shuffle(groups)
    for group in groups:
        yield collate(group, pad)
