"""Verification on the device, for graphs: the rule of the target's law, and the forced one of `synthetic`."""

from itertools import accumulate
from math import prod

import numpy as np
import torch
from torch import Tensor

from engine.captured.sizes import Size
from engine.draft import Verification
from engine.drafting.fixed import Verified
from engine.filters import DROPPED, keep_all, per_row, tempered
from kernels.keyed_noise import reference as noise
from kernels.verify.op import verify

Inputs = dict[str, Tensor]  # the device's side of what filling.py fills


class Verdict:
    """One flat tensor that the host reads; verified, tokens and parents [B, N] are its parts."""

    def __init__(self, size: Size, device: torch.device):
        batch, depth, nodes = size.batch, size.depth, size.nodes
        self._shapes = [(batch, depth), (batch, 1 + depth), (batch,), (batch, nodes), (batch, nodes)]
        self._sizes = [prod(shape) for shape in self._shapes]
        self._ends = [*accumulate(self._sizes)][:-1]
        self._is_chain = not size.words
        self.whole = torch.zeros(sum(self._sizes), dtype=torch.int64, device=device)
        parts = [part.view(shape) for part, shape in zip(self.whole.split(self._sizes), self._shapes, strict=True)]
        self.verified, self.tokens, self.parents = Verified(*parts[:3]), parts[3], parts[4]

    def write(self, verified: Verified, inputs: Inputs) -> None:
        goals = (*self.verified, self.tokens, self.parents)
        for goal, found in zip(goals, (*verified, inputs["tokens"][:, 1:], inputs["parents"]), strict=True):
            goal.copy_(found)

    def read(self, whole: np.ndarray, used: int) -> tuple[Verification, list[list[int]], list[list[int]]]:
        """Of a fetched `whole`, for `used` sequences: the verification, and tokens and parents of all nodes."""
        pieces = zip(np.split(whole, self._ends), self._shapes, strict=True)
        paths, emitted, accepted, tokens, parents = (part.reshape(shape)[:used].tolist() for part, shape in pieces)
        emitted = [row[: 1 + count] for row, count in zip(emitted, accepted, strict=True)]
        found = None if self._is_chain else [row[:count] for row, count in zip(paths, accepted, strict=True)]
        return Verification(accepted, emitted, found), tokens, parents


def filter_rows(logits: Tensor, inputs: Inputs) -> Tensor:
    """logits [B, Q, V] without what min_p, top_k and top_p drop."""
    names = ("temperatures", "min_p", "top_k", "top_p")
    heat, *filters = (per_row(inputs[name], logits.shape[1]) for name in names)
    flat = logits.flatten(0, 1)
    return flat.where(keep_all(tempered(flat, heat), *filters) > DROPPED, DROPPED).view(logits.shape)


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
    heat, keys = inputs["temperatures"][:, None], noise.key(inputs["seeds"], position)
    drawn = (tempered(logits, heat) + noise.gumbel(keys, logits.shape[1])).float()
    return drawn.where(heat > 0, logits.float()).argmax(-1)
