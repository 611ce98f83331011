"""Where two outputs may part: only where the target itself all but ties, by rounding and nothing else."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from engine import Engine, SamplingParams
from engine.models.attention import Span
from engine.outputs import RequestOutput

NEAR_TIE = 1e-4  # between scores in fp32


class Parting(NamedTuple):
    """Where an output first left the expected one: the target's gap between the two tokens, and what is allowed."""

    place: int
    gap: float
    allowed: float

    @property
    def is_tie(self) -> bool:
        return self.gap <= self.allowed


def parting(engine: Engine, got: RequestOutput, expected: RequestOutput, wish: SamplingParams) -> Parting | None:
    """None where they are the same. In fp32 NEAR_TIE is allowed, else the measured noise of two shapes of step."""
    if got.token_ids == expected.token_ids:
        return None
    pairs = list(zip(got.token_ids, expected.token_ids, strict=False))
    place = next((i for i, (a, b) in enumerate(pairs) if a != b), len(pairs))
    if place == len(pairs):  # one goes on where the other ends: no tie explains that
        return Parting(place, float("inf"), 0.0)
    prompt = len(got.prompt_token_ids)
    tokens = got.prompt_token_ids + got.token_ids
    scores = engine.next_token_scores(tokens, wish, prompt + place, prompt)
    gap = abs(float(scores[pairs[place][0]] - scores[pairs[place][1]]))
    if engine._target.dtype == torch.float32:
        return Parting(place, gap, NEAR_TIE)
    return Parting(place, gap, shape_noise(engine, tokens[: prompt + place], prompt) / (wish.temperature or 1.0))


@torch.inference_mode()
def shape_noise(engine: Engine, tokens: Sequence[int], prompt: int, rows: int = 5) -> float:
    """The most that the gap between two logits changes if the same text is computed in steps of `rows` rows, not one.

    Over the answer's positions, from the prompt's last on; the cache differs with the shape, as it does in serving.
    """
    singly, together = (_logits(engine, tokens, prompt, size) for size in (1, rows))
    change = singly - together
    return float((change.max(-1).values - change.min(-1).values).max())


def _logits(engine: Engine, tokens: Sequence[int], prompt: int, rows: int) -> Tensor:
    """[tokens from the prompt's last on, V]."""
    decoder, cache, begin = engine._target.decoder, engine._cache, prompt - 1
    found = []
    if begin:
        decoder.forward(list(tokens[:begin]), [], [Span(0, 0, begin)], cache, [begin - 1])
    for first in range(begin, len(tokens), rows):
        fed = list(tokens[first : first + rows])
        found.append(decoder.forward(fed, [Span(0, first, len(fed))], [], cache).logits)
    cache.release_all()
    return torch.cat(found)
