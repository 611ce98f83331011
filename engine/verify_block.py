"""Block verification of chains (Sun et al. 2024, arXiv 2403.10444): lossless, and accepts at least what rejection does.

The chance to keep the first i drafted tokens is decided for all of them together: a token whose ratio p / q is small
may be kept for the sake of the tokens after it.

The decision looks at drafts and coins beyond the last token it keeps. The next step drafts for those places again, so
its drafts and coins must be new randomness: keyed by the step's first position too, and not by their own alone.
"""

from collections.abc import Sequence

from torch import Tensor

from engine.verify import residual


def reject_block(tokens: Sequence[int], q: Tensor, p: Tensor, coins: Sequence[float]) -> tuple[int, Tensor]:
    """How many tokens of a chain are kept, and the law [V] of the token after them, not normalised.

    tokens [K]; q [K, V] they were drawn from; p [1 + K, V] of the target; coins [K].
    """
    joint = _joint_ratios(tokens, q, p)
    chances = keep_probabilities(joint, q, p)
    kept = next((i for i in range(len(tokens), 0, -1) if coins[i - 1] < chances[i - 1]), 0)
    return kept, residual(joint[kept] * p[kept], q[kept]) if kept < len(tokens) else p[kept]


def keep_probabilities(joint: Sequence[float], q: Tensor, p: Tensor) -> list[float]:
    """[K] h_i of the paper for i = 1..K: keep i tokens or more, once it is known that no more than i are kept."""
    lengths = range(1, len(joint) - 1)
    rest = [float((joint[i] * p[i] - q[i]).clamp_min(0.0).sum()) for i in lengths]  # S_i
    inner = [s / (s + 1 - joint[i]) if s > 0 else 0.0 for i, s in zip(lengths, rest, strict=True)]
    return [*inner, joint[-1]]


def _joint_ratios(tokens: Sequence[int], q: Tensor, p: Tensor) -> list[float]:
    """[1 + K] P_0 = 1, P_i = min(1, P_{i-1} p(x_i) / q(x_i))."""
    joint = [1.0]
    for i, token in enumerate(tokens):
        joint.append(min(1.0, joint[-1] * _ratio(p[i][token], q[i][token])))
    return joint


def _ratio(p: Tensor, q: Tensor) -> float:
    """p / q, uncapped; 0 where q is 0, for such a token cannot have been drawn from q."""
    return float(p / q) if q > 0 else 0.0
