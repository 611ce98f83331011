"""A draft head's next input: the kernel against its reference, and the reference against what the engine gathers."""

from types import SimpleNamespace

import pytest
import torch
from kernel_checks import DEVICE, assert_builds, unwritten

from engine.draft import Seen, Verification
from engine.drafting.heads import _pairs
from kernels.draft_inputs import reference, triton
from kernels.draft_inputs.op import draft_inputs

NUM_ROWS, SLOT_LEN = 9, 50
PATHS = [[0, 2, 5], [], None, [1], [0, 1, 2, 3], [3, 7]]  # accepted nodes; None: no such sequence


def verified(depth, seed=0):
    """What `verify` gives for these paths; starts and slots."""
    draw = torch.Generator().manual_seed(seed)
    batch = len(PATHS)
    paths, emitted = torch.full((batch, depth), -1), torch.full((batch, depth + 1), -1)
    accepted = torch.full((batch,), -1)
    for b, path in enumerate(PATHS):
        if path is not None:
            accepted[b] = len(path[:depth])
            paths[b, : accepted[b]] = torch.tensor(path[:depth])
            emitted[b, : accepted[b] + 1] = torch.randint(1000, (int(accepted[b]) + 1,), generator=draw)
    starts, slots = torch.randint(1, 40, (batch,), generator=draw), torch.tensor([3, 0, 0, 1, 2, 4])
    return [tensor.to(DEVICE) for tensor in (paths, emitted, accepted, starts, slots)]


def test_reference_is_what_the_engine_gathers():
    paths, emitted, accepted, starts, slots = verified(4)
    found = reference.draft_inputs(paths, emitted, accepted, starts, slots, NUM_ROWS, SLOT_LEN)
    seen = []
    for b, path in enumerate(PATHS):
        if path is None:
            assert found.counts[b] == 0
            continue
        tokens = emitted[b, : len(path) + 1].tolist()
        start = starts[b].item()
        sequence = SimpleNamespace(slot=slots[b].item(), tokens=[0] * (start + 1) + tokens)
        rows = Verification([len(path)], [tokens], [path]).rows(0, b * NUM_ROWS)
        seen.append(Seen(sequence, start, rows, False, range(0)))
        assert (found.roots[b], found.starts[b]) == (sequence.tokens[-1], len(sequence.tokens) - 1)
    tokens, rows, last, spans = _pairs(seen)
    kept = found.places >= 0
    assert found.tokens[kept].tolist() == tokens
    assert found.rows[kept].tolist() == rows
    assert found.positions[kept].tolist() == [place for span in spans[False] for place in span.positions]
    assert found.places[kept].tolist() == [
        span.slot * SLOT_LEN + place for span in spans[False] for place in span.positions
    ]
    assert kept.sum(1).tolist() == found.counts.tolist()
    own = torch.tensor([path is not None for path in PATHS], device=DEVICE)
    assert found.tokens.flatten()[found.last[own]].tolist() == [tokens[i] for i in last]
    assert found.last_rows[own].tolist() == [rows[i] for i in last]


@pytest.mark.parametrize("depth", [0, 1, 3, 4, 7])
def test_kernel_equals_the_reference(depth):
    given = (*verified(depth, depth), NUM_ROWS, SLOT_LEN)
    for got, expected in zip(triton.draft_inputs(*given), reference.draft_inputs(*given), strict=True):
        assert got.dtype == torch.int64
        assert torch.equal(got, expected)


def test_every_index_of_padding_is_one_that_may_be_read():
    paths, emitted, accepted, starts, slots = verified(4)
    paths[:, :] = torch.where(paths < 0, unwritten(1, 1, dtype=torch.int64), paths)  # nobody looks there
    found = triton.draft_inputs(paths, emitted, accepted, starts, slots, NUM_ROWS, SLOT_LEN)
    for indices, size in [(found.rows, len(PATHS) * NUM_ROWS), (found.last_rows, len(PATHS) * NUM_ROWS)]:
        assert bool(((indices >= 0) & (indices < size)).all())
    assert bool(((found.positions >= 0) & (found.positions < SLOT_LEN)).all())
    assert bool((found.tokens >= 0).all())


def test_operator_passes_torch_s_own_checks():
    torch.library.opcheck(draft_inputs, (*verified(4), NUM_ROWS, SLOT_LEN))


def launches() -> None:
    from kernels.draft_inputs.triton import draft_inputs as launch

    def meta(*shape):
        return torch.empty(shape, dtype=torch.int64, device="meta")

    launch(meta(64, 7), meta(64, 8), meta(64), meta(64), meta(64), 8, 4096)


def test_compiles_for_every_chip():
    assert_builds(launches)
