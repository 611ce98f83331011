"""Is an answer the baseline's? Every token is compared; a first difference is excused only where the target itself was
undecided, and every excuse is counted and shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autotune.samples import NEAR_TIE, Divergence
from autotune.worker.prompts import Prompt

HALF_ULPS = 12  # the 99.9th percentile between two batch shapes, see docs/log.md
MANTISSA_BITS = {"bfloat16": 8, "float16": 11}


def tolerance(dtype: str, score: float) -> float:
    """The gap between two scores that the batch's shape alone may turn round. In fp32 a fixed 1e-4; in half precision
    twelve units in the last place at the size of the score, which is what reordered sums were seen to move.
    """
    if dtype not in MANTISSA_BITS:
        return NEAR_TIE
    exponent = max(1.0, abs(score))
    return HALF_ULPS * exponent * 2.0 ** -MANTISSA_BITS[dtype]


def first_difference(left: Sequence[int], right: Sequence[int]) -> int | None:
    """The index of the first token that differs, the shorter length where one is the other's beginning, None if
    equal.
    """
    for index, (a, b) in enumerate(zip(left, right, strict=False)):
        if a != b:
            return index
    return None if len(left) == len(right) else min(len(left), len(right))


def judge(
    engine: Any, prompt: Prompt, arm: str, baseline: Sequence[int], candidate: Sequence[int], dtype: str
) -> Divergence | None:
    """The divergence of an answer from the baseline's, scored by the target; None if they are equal. Never timed."""
    position = first_difference(baseline, candidate)
    if position is None:
        return None
    if position >= min(len(baseline), len(candidate)):
        ends = [tokens[position] if position < len(tokens) else None for tokens in (baseline, candidate)]
        return Divergence(prompt.request_id, arm, position, ends[0], ends[1], None, NEAR_TIE, excused=False)
    tokens = [*prompt.token_ids, *baseline[:position]]
    scores = engine.next_token_scores(tokens, prompt.params, len(tokens), num_prompt_tokens=len(prompt.token_ids))
    ours, theirs = float(scores[baseline[position]]), float(scores[candidate[position]])
    gap, allowed = abs(ours - theirs), tolerance(dtype, max(ours, theirs))
    best = float(scores.max())
    excused = gap < allowed and best - min(ours, theirs) < allowed
    return Divergence(prompt.request_id, arm, position, baseline[position], candidate[position], gap, allowed, excused)
