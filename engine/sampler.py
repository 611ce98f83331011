"""From logits to the target's choice at every row: processors, then an argmax of scores.

Order: logit bias, min_tokens, penalties (over output and the drafted prefix), temperature, min_p, top_k, top_p, noise.
A row is the place after one token; its position is the index of the token to be chosen there.
"""

from collections.abc import Sequence as Sequences
from typing import NamedTuple

import torch
from torch import Tensor

from engine import noise
from engine.filters import drop_unlikely, keep_top
from engine.sampling_params import SamplingParams
from engine.sequence import Sequence


class Row(NamedTuple):
    """One row of logits that asks for processing: whose it is and which drafted tokens precede it."""

    place: int
    sequence: Sequence
    drafted: Sequences[int]

    @property
    def position(self) -> int:
        return len(self.sequence.tokens) + len(self.drafted)


class Sampled(NamedTuple):
    """The rows of a step that are sampled: log-probabilities [n, V] up to a constant, and the noise [n, V]; float64."""

    at: dict[int, int]  # a row's place in the step -> its place here
    filtered: Tensor
    noise: Tensor


def choose(logits: Tensor, rows: Sequences[Row], eos_token_ids: Sequences[int]) -> tuple[list[int], Sampled | None]:
    """logits [R, V] (changed in place) -> R token ids. `rows` lists those whose request changes its logits."""
    sampled = apply(logits, rows, eos_token_ids) if rows else None
    return logits.argmax(-1).tolist(), sampled


def apply(logits: Tensor, rows: Sequences[Row], eos_token_ids: Sequences[int]) -> Sampled | None:
    """Turn the logits of these rows into scores whose argmax is the chosen token, in place."""
    for row in rows:
        _adjust(logits[row.place], row, eos_token_ids)
    drawn = [row for row in rows if not row.sequence.params.is_greedy]
    if not drawn:
        return None
    index = torch.tensor([row.place for row in drawn], device=logits.device)
    kept = filtered(logits[index].double(), [row.sequence.params for row in drawn])
    keys = [noise.key(row.sequence.seed, row.position) for row in drawn]
    sampled = Sampled(
        {row.place: i for i, row in enumerate(drawn)}, kept, noise.gumbel(keys, logits.shape[1], logits.device)
    )
    logits[index] = (kept + sampled.noise).to(logits.dtype)
    return sampled


def filtered(logits: Tensor, params: Sequences[SamplingParams]) -> Tensor:
    """logits [n, V] float64 of sampling requests -> divided by temperature; what min_p, top_k, top_p drop at -inf."""
    logits = logits / _column([p.temperature for p in params], logits)
    if any(p.min_p > 0 for p in params):
        logits = drop_unlikely(logits, _column([p.min_p for p in params], logits))
    if any(p.top_k > 0 or p.top_p < 1 for p in params):
        k = _column([p.top_k if p.top_k > 0 else logits.shape[1] for p in params], logits)
        logits = keep_top(logits, k, _column([p.top_p for p in params], logits))
    return logits


def _adjust(logits: Tensor, row: Row, eos_token_ids: Sequences[int]) -> None:
    params, sequence = row.sequence.params, row.sequence
    for token, bias in (params.logit_bias or {}).items():
        logits[token] += bias
    if sequence.num_output_tokens + len(row.drafted) < params.min_tokens:
        for token in (*eos_token_ids, *(params.stop_token_ids or ())):
            logits[token] = float("-inf")
    if params.has_penalties:
        _penalise(logits, params, sequence, row.drafted)


def _penalise(logits: Tensor, params: SamplingParams, sequence: Sequence, drafted: Sequences[int]) -> None:
    """Repetition over prompt and output; presence and frequency over output; the drafted prefix counts as output."""
    output = torch.tensor([*sequence.output_token_ids, *drafted], dtype=torch.int64, device=logits.device)
    counts = torch.bincount(output, minlength=logits.shape[0])
    seen = counts > 0
    repeated = seen.clone()
    repeated[torch.tensor(sequence.tokens[: sequence.num_prompt_tokens], device=logits.device)] = True
    factor = params.repetition_penalty
    scaled = torch.where(logits > 0, logits / factor, logits * factor)
    logits.copy_(torch.where(repeated, scaled, logits))
    logits.sub_(params.frequency_penalty * counts).sub_(params.presence_penalty * seen)


def _column(values: list[float], like: Tensor) -> Tensor:
    return torch.tensor(values, dtype=torch.float64, device=like.device)[:, None]
