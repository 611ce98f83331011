"""Which rule verifies the drafts of a step: `rejection_sample_method` and what it needs, for chains and trees alike.

standard   the target's law exactly (verify.py, verify_tree.py)
block      the target's law exactly, for chains of samples with a kept q; accepts at least as much (verify_block.py)
typical    LOSSY for sampled requests (verify_typical.py); greedy ones stay exact
synthetic  SYNTHETIC: drafts pass at chosen rates, whatever the target says, to tell the engine's cost from the drafts'
           merit
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from engine import noise
from engine.draft import Draft, Verification
from engine.sampler import Sampled
from engine.speculative_config import SpeculativeConfig
from engine.tree.shape import Shape
from engine.verify import verify
from engine.verify_tree import verify_tree
from engine.verify_typical import verify_typical_lossy

if TYPE_CHECKING:
    from engine import sequence as running

Verifier = Callable[[Sequence["running.Sequence"], Draft, Sequence[int], Sampled | None], Verification]


def build_verifier(config: SpeculativeConfig) -> Verifier:
    """The rule of a resolved config: (sequences, draft, choices [N + S], sampled rows) -> what is accepted."""
    method = config.rejection_sample_method or "standard"
    if method == "typical":
        epsilon, alpha = config.posterior_threshold or 0.0, config.posterior_alpha or 0.0
        return lambda _, draft, choices, sampled: verify_typical_lossy(draft, choices, sampled, epsilon, alpha)
    if method == "synthetic":
        rates = synthetic_rates(config)
        return lambda sequences, draft, choices, _: verify_synthetic(sequences, draft, choices, rates)
    return _block if method == "block" else _standard


def _standard(
    sequences: Sequence["running.Sequence"], draft: Draft, choices: Sequence[int], sampled: Sampled | None
) -> Verification:
    tossed = coins(sequences, draft) if draft.probs is not None else ()
    rule = verify if draft.is_chain else verify_tree
    return rule(draft, choices, sampled, tossed)


def _block(
    sequences: Sequence["running.Sequence"], draft: Draft, choices: Sequence[int], sampled: Sampled | None
) -> Verification:
    return verify_tree(draft, choices, sampled, coins(sequences, draft), "block")


def coins(sequences: Sequence["running.Sequence"], draft: Draft) -> list[float]:
    """A coin for every node, keyed by its request's seed, the step, its position and its rank among its siblings.

    Nodes that share position and rank share a coin: at most one of them is ever tried.
    """
    tossed: list[float] = []
    for sequence, shape in zip(sequences, draft.shapes, strict=True):
        length = len(sequence.tokens)
        seed = noise.step_seed(sequence.seed, length)
        tossed += [
            noise.coin(seed, length + depth - 1, rank) for depth, rank in zip(shape.depths, shape.ranks, strict=True)
        ]
    return tossed


def synthetic_rates(config: SpeculativeConfig) -> list[float]:
    """[K] the share of drafts that are accepted up to each position.

    From a mean length L they are the powers of the p for which 1 + p + p^2 + ... + p^K is L.
    """
    if config.synthetic_acceptance_rates is not None:
        return list(config.synthetic_acceptance_rates)
    most, wanted = config.num_speculative_tokens or 0, config.synthetic_acceptance_length or 1.0
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if sum(middle**i for i in range(most + 1)) < wanted else (low, middle)
    return [high**i for i in range(1, most + 1)]


def verify_synthetic(
    sequences: Sequence["running.Sequence"], draft: Draft, choices: Sequence[int], rates: Sequence[float]
) -> Verification:
    """Of every draft the first child of the first child ..., as deep as one coin a sequence says; then the choice."""
    paths, emitted = forced_paths(sequences, draft.shapes, rates), []
    node = row = 0
    for path, shape in zip(paths, draft.shapes, strict=True):
        emitted.append([*(draft.tokens[node + each] for each in path), choices[row + (1 + path[-1] if path else 0)]])
        node += len(shape.parents)
        row += 1 + len(shape.parents)
    return Verification([len(path) for path in paths], emitted, paths)


def forced_paths(
    sequences: Sequence["running.Sequence"], shapes: Sequence[Shape], rates: Sequence[float]
) -> list[list[int]]:
    """The nodes that synthetic acceptance takes: they hang on no token."""
    lengths = [len(sequence.tokens) for sequence in sequences]
    seeds = [noise.step_seed(sequence.seed, length) for sequence, length in zip(sequences, lengths, strict=True)]
    coins = [noise.coin(seed, length) for seed, length in zip(seeds, lengths, strict=True)]
    return [
        _first_children(shape, sum(coin < rate for rate in rates)) for shape, coin in zip(shapes, coins, strict=True)
    ]


def _first_children(shape: Shape, depth: int) -> list[int]:
    path: list[int] = []
    for node, (parent, rank) in enumerate(zip(shape.parents, shape.ranks, strict=True)):
        if len(path) < depth and rank == 0 and parent == (path[-1] if path else -1):
            path.append(node)
    return path
