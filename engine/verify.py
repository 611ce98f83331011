"""Verification of drafts: pure functions, no engine state.

Greedy decoding and sampling with one-hot drafts share one rule. With q one-hot on x, rejection sampling accepts x with
probability p(x) and otherwise samples p without x; that has the same law as "draw y from p; accept when y == x, else
emit y". The target's choice at every row is drawn once, keyed by (seed, position), so a seeded run with drafts emits
what the run without drafts emits.

Drafts sampled from a known q are accepted with probability min(1, p(x) / q(x)); at the first rejection the token comes
from max(p - q, 0), normalised (Leviathan et al. 2023, Chen et al. 2023).
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from engine.draft import Draft, Verification
from engine.errors import EngineError
from engine.sampler import Sampled


def verify(
    draft: Draft, choices: Sequence[int], sampled: Sampled | None = None, coins: Sequence[float] = ()
) -> Verification:
    """Accept the longest prefix of every chain that the target takes.

    choices [N + S]: for every sequence the target's token after its root, then after each of its drafted tokens.
    sampled and coins [N] in (0, 1) are needed where the draft has probabilities: its sampled rows use them.
    """
    if not draft.is_chain:
        raise EngineError("only chains can be verified")
    accepted, emitted = [], []
    node = row = 0
    for count in draft.counts:
        tokens, chosen = draft.tokens[node : node + count], choices[row : row + count + 1]
        place = sampled.at.get(row) if sampled and draft.probs is not None and count else None
        if place is None:
            matches = _matching_prefix(tokens, chosen)
            last = chosen[matches]
        else:
            assert sampled is not None
            assert draft.probs is not None
            rows, nodes = slice(place, place + count + 1), slice(node, node + count)
            p, noise = sampled.filtered[rows].softmax(-1), sampled.noise[rows]
            matches, last = reject(tokens, draft.probs[nodes], p, coins[nodes], noise)
        accepted.append(matches)
        emitted.append([*tokens[:matches], last])
        node += count
        row += count + 1
    return Verification(accepted, emitted)


def reject(tokens: Sequence[int], q: Tensor, p: Tensor, coins: Sequence[float], noise: Tensor) -> tuple[int, int]:
    """Rejection sampling of a chain: how many tokens are accepted, and the token that follows them.

    tokens [K]; q [K, V] they were sampled from; p [K + 1, V] of the target; coins [K]; noise [K + 1, V] Gumbel.
    """
    index = p.new_tensor(tokens, dtype=torch.int64)[:, None]
    chances = accept_probability(p[:-1].gather(1, index), q.gather(1, index))[:, 0].tolist()
    matches = next((i for i, chance in enumerate(chances) if coins[i] >= chance), len(tokens))
    rest = residual(p[matches], q[matches]) if matches < len(tokens) else p[matches]
    return matches, int((rest.log() + noise[matches]).argmax())


def accept_probability(p: Tensor, q: Tensor) -> Tensor:
    """min(1, p / q) of drafted tokens; 0 where q is 0, for such a token cannot have been sampled from q."""
    return (p / q).clamp(max=1.0).where(q > 0, 0.0)


def residual(p: Tensor, q: Tensor) -> Tensor:
    """[V] proportional to max(p - q, 0); p itself where rounding leaves nothing of it."""
    rest = (p - q).clamp_min(0.0)
    return rest if rest.sum() > 0 else p


def _matching_prefix(tokens: Sequence[int], chosen: Sequence[int]) -> int:
    for i, token in enumerate(tokens):
        if token != chosen[i]:
            return i
    return len(tokens)
