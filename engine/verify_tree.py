"""Verification of draft trees: pure functions, no engine state. A chain is a tree, and gets what `verify` gives it.

Two rules, both with the target's law exactly:
- Without draft probabilities the target's choice y ~ p is drawn once a row, keyed by (seed, position); the child that
  equals it is descended to, and at the end y itself is emitted. Greedy decoding is the same with y = argmax. What is
  emitted is what a run without drafts emits, whatever the tree: it may be pruned or reordered by any means.
- With draft probabilities the children of a node are tried in the order in which they were drawn (Miao et al. 2023):
  accept with min(1, p / q); on reject p becomes max(p - q, 0), normalised, and the next child is tried. q is the
  distribution that this very child was drawn from, given the siblings before it; drawn without replacement that is the
  parent's q without their tokens (engine/drafting/children.py makes such rows). Children that were not drawn from their
  q, such as the k likeliest, or that were dropped because of which token they are, bias the output.
"""

from collections.abc import Callable, Sequence
from typing import Literal

from torch import Tensor

from engine.draft import Draft, Verification
from engine.errors import EngineError
from engine.sampler import Sampled
from engine.verify import accept_probability, residual
from engine.verify_block import reject_block

Rule = Literal["rejection", "block"]
Walk = tuple[list[int], Tensor | None]  # the accepted nodes, and the law [V] of the next token (None: the choice there)


def verify_tree(
    draft: Draft,
    choices: Sequence[int],
    sampled: Sampled | None = None,
    coins: Sequence[float] = (),
    rule: Rule = "rejection",
) -> Verification:
    """The accepted path of every tree of a draft; trees may differ in shape, chains and empty drafts among them.

    choices [N + S]: for every sequence the target's token after its root, then after each of its nodes.
    sampled and coins [N] in (0, 1), independent of each other, are needed where the draft has probabilities. `block` is
    for chains.
    """
    q = draft.probs

    def walk(tokens: Sequence[int], parents: Sequence[int], nodes: slice, p: Tensor) -> Walk:
        assert q is not None
        if rule == "rejection":
            return reject_tree(tokens, parents, q[nodes], p, coins[nodes])
        if list(parents) != list(range(-1, len(parents) - 1)):
            raise EngineError("block verification is for chains; this draft is a tree: use rejection")
        matches, rest = reject_block(tokens, q[nodes], p, coins[nodes])
        return list(range(matches)), rest

    return walk_trees(draft, choices, sampled if q is not None else None, walk)


def descend(tokens: Sequence[int], parents: Sequence[int], choices: Sequence[int]) -> list[int]:
    """From the root, again and again to the child that the target chose there; siblings have different tokens.

    choices [1 + N], the root's first.
    """
    at, path = -1, []
    for node, parent in enumerate(parents):  # children come after their parent, so one pass finds the path
        if parent == at and tokens[node] == choices[1 + at]:
            at = node
            path.append(node)
    return path


def reject_tree(
    tokens: Sequence[int], parents: Sequence[int], q: Tensor, p: Tensor, coins: Sequence[float]
) -> tuple[list[int], Tensor]:
    """Rejection sampling of a tree whose siblings stand in the order in which they were drawn.

    q [N, V] what each node was drawn from, given the siblings before it (all zero: not drawn, never accepted);
    p [1 + N, V] of the target, the root's row first; coins [N].
    Returns the accepted nodes and the law [V] of the token after them, not normalised.
    """
    at, path, left = -1, [], p[0]
    for node, parent in enumerate(parents):
        if parent != at:
            continue
        token = tokens[node]
        if coins[node] < float(accept_probability(left[token], q[node][token])):
            at, left = node, p[1 + node]
            path.append(node)
        else:
            left = residual(left, q[node])
            left = left / left.sum()
    return path, left


def walk_trees(
    draft: Draft,
    choices: Sequence[int],
    sampled: Sampled | None,
    walk: Callable[[Sequence[int], Sequence[int], slice, Tensor], Walk],
) -> Verification:
    """`walk` for the trees whose rows are sampled, `descend` for the others."""
    paths, emitted = [], []
    first = row = 0
    for count in draft.counts:
        nodes, chosen = slice(first, first + count), choices[row : row + count + 1]
        tokens = draft.tokens[nodes]
        parents = range(-1, count - 1) if draft.parents is None else draft.parents[nodes]
        place = sampled.at.get(row) if sampled and count else None
        if place is None:
            path, rest = descend(tokens, parents, chosen), None
        else:
            assert sampled is not None
            path, rest = walk(tokens, parents, nodes, sampled.filtered[place : place + count + 1].softmax(-1))
        end = 1 + path[-1] if path else 0
        if rest is None:
            last = chosen[end]
        else:
            assert sampled is not None
            assert place is not None
            last = int((rest.log() + sampled.noise[place + end]).argmax())
        paths.append(path)
        emitted.append([*(tokens[node] for node in path), last])
        first += count
        row += count + 1
    return Verification([len(path) for path in paths], emitted, paths)
