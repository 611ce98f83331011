"""Verification of drafts: pure functions, no engine state.

Greedy decoding and sampling with one-hot drafts share one rule. With q one-hot on x, rejection sampling accepts x with
probability p(x) and otherwise samples p without x; that has the same law as "draw y from p; accept when y == x, else
emit y". The target's choice at every row is drawn once, keyed by (seed, position), so a seeded run with drafts emits
what the run without drafts emits.
"""

from collections.abc import Sequence

from engine.draft import Draft, Verification
from engine.errors import EngineError


def verify(draft: Draft, choices: Sequence[int]) -> Verification:
    """Accept the longest prefix of every chain that the target chose too.

    choices [N + S]: for every sequence the target's token after its root, then after each of its drafted tokens.
    """
    if not draft.is_chain or draft.probs is not None:
        raise EngineError("only chains of one-hot drafts can be verified")
    accepted, emitted = [], []
    node = row = 0
    for count in draft.counts:
        matches = _matching_prefix(draft.tokens[node : node + count], choices[row : row + count])
        accepted.append(matches)
        emitted.append(list(choices[row : row + matches + 1]))
        node += count
        row += count + 1
    return Verification(accepted, emitted)


def _matching_prefix(tokens: Sequence[int], chosen: Sequence[int]) -> int:
    for i, token in enumerate(tokens):
        if token != chosen[i]:
            return i
    return len(tokens)
