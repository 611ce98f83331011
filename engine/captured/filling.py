"""What a fixed step is told by the host: which sequences, where they stand, and what of their drafts it knows."""

from collections.abc import Sequence as Sequences
from functools import lru_cache

import numpy as np

from engine.captured.sizes import Size
from engine.captured.static import StaticInputs
from engine.sequence import Sequence
from engine.tree import flat
from engine.tree.masks import words_of
from kernels.keyed_noise.reference import signed

Arrays = dict[str, np.ndarray]
EVERY = 1 << 62  # tokens: top_k is off
VECTORS = (
    *("slots", "states", "before", "starts", "there", "prefix", "lengths", "counts", "limits"),
    *("seeds", "temperatures", "top_k", "top_p", "min_p", "forced"),
)


def input_shapes(size: Size) -> dict[str, tuple[int, ...]]:
    """Names and shapes of all that comes from the host."""
    batch, q_len, nodes, depth, words = size.batch, size.q_len, size.nodes, size.depth, size.words
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(VECTORS, (batch,))
    shapes |= {"tokens": (batch, q_len), "rows": (batch, q_len), "positions": (batch, q_len)}
    shapes |= {"parents": (batch, nodes), "forced_paths": (batch, depth)}
    return shapes | ({"masks": (batch, q_len, words)} if words else {})


def blank(inputs: StaticInputs, nobody: int) -> None:
    """No sequences at all: a step over this changes nothing. `nobody` is the state row that belongs to none."""
    inputs.settle()
    for values in inputs.host.values():
        values[...] = 0
    _absent(inputs.host, 0, nobody)
    inputs.host["parents"][:] = np.arange(-1, inputs.host["parents"].shape[1] - 1)


def fill(
    inputs: StaticInputs, sequences: Sequences[Sequence], counts: Sequences[int], limits: Sequences[int], nobody: int
) -> None:
    """Chains of counts[i] nodes, at most limits[i] levels, for sequences[i]; the rest of the batch is nobody's."""
    inputs.settle()
    host, used = inputs.host, len(sequences)
    host["limits"][:used] = limits
    starts = np.array([sequence.num_computed for sequence in sequences])
    drafted = np.array(counts)
    host["slots"][:used] = [sequence.slot for sequence in sequences]
    host["states"][:used] = host["slots"][:used]
    host["tokens"][:used, 0] = [sequence.tokens[-1] for sequence in sequences]
    host["before"][:used] = [sequence.tokens[-2] for sequence in sequences]
    host["seeds"][:used] = [signed(sequence.seed) for sequence in sequences]
    host["temperatures"][:used] = [sequence.params.temperature for sequence in sequences]
    host["starts"][:used], host["prefix"][:used], host["there"][:used] = starts, starts + 1, 1
    host["counts"][:used], host["lengths"][:used] = drafted, 1 + drafted
    offsets = np.arange(host["rows"].shape[1])
    rows = starts[:, None] + offsets
    host["rows"][:used] = np.where(offsets <= drafted[:, None], rows, -1)
    host["positions"][:used] = rows
    _absent(host, used, nobody)


def fill_filters(inputs: StaticInputs, sequences: Sequences[Sequence]) -> None:
    """What requests drop of the vocabulary: for steps in which one does."""
    host = inputs.host
    for i, params in enumerate(sequence.params for sequence in sequences):
        if params.is_filtered:
            host["top_k"][i] = params.top_k if params.top_k > 0 else EVERY
            host["top_p"][i], host["min_p"][i] = params.top_p, params.min_p
        else:
            host["top_k"][i], host["top_p"][i], host["min_p"][i] = EVERY, 1.0, 0.0


def _absent(host: Arrays, used: int, nobody: int) -> None:
    """Beyond the sequences: nothing is read, and nothing written."""
    for name in ("slots", "lengths", "there", "starts", "prefix"):
        host[name][used:] = 0
    host["counts"][used:], host["rows"][used:] = -1, -1
    host["states"][used:] = nobody


def fill_trees(inputs: StaticInputs, parents: Sequences[tuple[int, ...]]) -> None:
    """The shapes of all sequences' drafts; after `fill`."""
    host = inputs.host
    q_len, words = host["masks"].shape[1:]
    for i, shape in enumerate(parents):
        depths, masks, above = _tree(shape, q_len, words)
        host["positions"][i] = host["starts"][i] + depths
        host["masks"][i], host["parents"][i] = masks, above


def fill_tokens(inputs: StaticInputs, tokens: Sequences[int], counts: Sequences[int]) -> None:
    """Drafted tokens that the host knows, one sequence's after another's."""
    begin = 0
    for i, count in enumerate(counts):
        inputs.host["tokens"][i, 1 : 1 + count] = tokens[begin : begin + count]
        begin += count


@lru_cache(maxsize=4096)
def _tree(parents: tuple[int, ...], q_len: int, words: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """depths [Q], masks [Q, words] and parents [N] of one draft, padded with the root's."""
    missing = q_len - 1 - len(parents)
    depths = [0, *flat.depths(parents), *[0] * missing]
    masks = [0, *flat.ancestors(parents), *[0] * missing]
    above = [*parents, *[-1] * missing]
    return np.array(depths), np.array([words_of(mask, words) for mask in masks]), np.array(above, dtype=np.int64)
