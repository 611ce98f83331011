"""Verification on the device, for graphs: the rule of the target's law, and the forced one of `synthetic`."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from engine.captured.sizes import Size
from engine.draft import Verification
from engine.drafting.fixed import Verified
from engine.filters import DROPPED, keep_all
from kernels.keyed_noise import reference as noise
from kernels.verify.op import verify

Inputs = dict[str, Tensor]  # the device's side of what filling.py fills


class Verdict(NamedTuple):
    """One flat tensor that the host reads, and what is where in it."""

    whole: Tensor
    verified: Verified
    tokens: Tensor
    parents: Tensor

    @classmethod
    def empty(cls, size: Size, device: torch.device) -> "Verdict":
        shapes = _shapes(size)
        whole = torch.zeros(sum(map(np.prod, shapes)), dtype=torch.int64, device=device)
        return cls(whole, *_parts(whole, shapes))

    def write(self, verified: Verified, inputs: Inputs) -> None:
        goals = (*self.verified, self.tokens, self.parents)
        for goal, found in zip(goals, (*verified, inputs["tokens"][:, 1:], inputs["parents"]), strict=True):
            goal.copy_(found)


def _shapes(size: Size) -> list[tuple[int, ...]]:
    batch = size.batch
    return [(batch, size.depth), (batch, 1 + size.depth), (batch,), (batch, size.nodes), (batch, size.nodes)]


def _parts(whole: Tensor, shapes: list[tuple[int, ...]]) -> tuple[Verified, Tensor, Tensor]:
    pieces = whole.split([int(np.prod(shape)) for shape in shapes])
    paths, emitted, accepted, tokens, parents = (piece.view(shape) for piece, shape in zip(pieces, shapes, strict=True))
    return Verified(paths, emitted, accepted), tokens, parents


def filter_rows(logits: Tensor, inputs: Inputs) -> Tensor:
    """logits [B, Q, V] without what min_p, top_k and top_p drop."""
    batch, rows, size = logits.shape

    def column(name: str) -> Tensor:
        return inputs[name][:, None].expand(-1, rows).reshape(-1, 1)

    heat, flat = column("temperatures"), logits.reshape(-1, size)
    scaled = flat.double() / heat.where(heat > 0, 1.0)
    kept = keep_all(scaled, column("min_p"), column("top_k"), column("top_p")) > DROPPED
    return flat.where(kept, DROPPED).view(batch, rows, size)


def judge(logits: Tensor, inputs: Inputs, depth: int, q: Tensor | None) -> Verified:
    """By kernels/verify. logits [B, 1 + N, V]."""
    request = (inputs["temperatures"], inputs["seeds"], inputs["positions"] + 1)
    tokens = inputs["tokens"][:, 1:].contiguous()
    return Verified(*verify(logits, tokens, inputs["parents"], inputs["counts"], *request, depth, q))


def force(logits: Tensor, inputs: Inputs) -> Verified:
    """SYNTHETIC: the paths and their lengths are given, whatever the target says; its choice at the end follows."""
    paths, count = inputs["forced_paths"], inputs["forced"]
    batch = len(count)
    there = inputs["counts"] >= 0
    before = torch.cat([paths.new_full((batch, 1), -1), paths], 1)
    end = 1 + before.gather(1, count[:, None])  # the row of the last accepted node, or the root's
    last = _choice(logits.gather(1, end[:, :, None].expand(-1, -1, logits.shape[2]))[:, 0], inputs, end)
    steps = torch.arange(before.shape[1], device=paths.device)
    drafted = inputs["tokens"].gather(1, (1 + before.roll(-1, 1)).clamp_min(0))
    emitted = drafted.where(steps < count[:, None], last[:, None].where(steps == count[:, None], -1))
    kept = paths.where(steps[:-1] < count[:, None], -1)
    return Verified(kept, emitted.where(there[:, None], -1), count.where(there, -1))


def _choice(logits: Tensor, inputs: Inputs, row: Tensor) -> Tensor:
    """logits [B, V] at rows [B, 1] -> the target's choice there [B], as kernels/verify makes it."""
    position = inputs["positions"].gather(1, row)[:, 0] + 1
    heat = inputs["temperatures"]
    keys = noise.key(inputs["seeds"], position)
    scaled = logits.double() / heat.where(heat > 0, 1.0)[:, None]
    drawn = (scaled + noise.gumbel(keys, logits.shape[1])).float()
    return drawn.where(heat[:, None] > 0, logits.float()).argmax(-1)


def read(whole: np.ndarray, size: Size, used: int) -> tuple[Verification, list[list[int]], list[list[int]]]:
    """Of a fetched verdict, for `used` sequences: the verification, and tokens and parents of all nodes."""
    shapes = _shapes(size)
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1]
    paths, emitted, accepted, tokens, parents = (
        part.reshape(shape)[:used].tolist() for part, shape in zip(np.split(whole, ends), shapes, strict=True)
    )
    emitted = [row[: 1 + count] for row, count in zip(emitted, accepted, strict=True)]
    found = None if not size.words else [row[:count] for row, count in zip(paths, accepted, strict=True)]
    return Verification(accepted, emitted, found), tokens, parents
