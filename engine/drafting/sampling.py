"""How a draft token is picked from the draft's logits.

greedy         the argmax, whatever the request's temperature; verified as a one-hot draft
probabilistic  a sample from q, the draft's distribution under the request's temperature and filters; q is kept, and
               rejection sampling accepts with probability min(1, p/q)
coupled        a sample from q with the very noise that the target will use at that position (Gumbel coupling): draft
               and target agree often without comparing notes, q need not be kept, and a seeded request emits the same
               tokens with and without drafts. It accepts a little less often than `probabilistic`: with probability
               sum_x 1 / sum_y max(p_y / p_x, q_y / q_x) instead of sum_x min(p_x, q_x).
"""

from collections.abc import Sequence as Sequences
from typing import NamedTuple

import torch
from torch import Tensor

from engine import noise, sampler
from engine.sequence import Sequence


class Picked(NamedTuple):
    """tokens [S]; probs [S, V] float64 q of each, or None where one-hot verification is right."""

    tokens: Tensor
    probs: Tensor | None


def pick(method: str, logits: Tensor, sequences: Sequences[Sequence], depth: int) -> Picked:
    """logits [S, V] of the draft at `depth` (0 is the first drafted token) -> one token a sequence."""
    tokens = logits.argmax(-1)
    sampled = [i for i, sequence in enumerate(sequences) if not sequence.params.is_greedy]
    if method == "greedy":
        return Picked(tokens, None)
    owners, index = [sequences[i] for i in sampled], torch.tensor(sampled, dtype=torch.int64, device=logits.device)
    filtered = sampler.filtered(logits[index].double(), [owner.params for owner in owners])
    keys = noise_keys(method, owners, depth)
    tokens[index] = (filtered + noise.gumbel(keys, logits.shape[1], logits.device)).argmax(-1)
    if method == "coupled":
        return Picked(tokens, None)
    probs = torch.zeros(logits.shape, dtype=torch.float64, device=logits.device)
    probs.scatter_(1, tokens[:, None], 1.0)  # what greedy requests keep: they are verified by equality
    probs[index] = filtered.softmax(-1)
    return Picked(tokens, probs)


def noise_keys(method: str, owners: Sequences[Sequence], depth: int) -> list[int]:
    """Of the noise for the token of each owner at `depth`: the target's own if coupled, else the step's."""
    if method == "coupled":
        return [noise.key(owner.seed, len(owner.tokens) + depth) for owner in owners]
    lengths = [len(owner.tokens) for owner in owners]
    return [
        noise.key(noise.step_seed(owner.seed, length), length + depth, noise.DRAFT)
        for owner, length in zip(owners, lengths, strict=True)
    ]
