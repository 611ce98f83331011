"""Small cases of what stands around the layers: verification, compaction, the head's inputs, n-gram lookup."""

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import torch
from torch import Tensor

from kernels.compact_kv import reference as compaction
from kernels.draft_inputs import reference as inputs
from kernels.ngram_lookup import reference as lookup
from kernels.verify import reference as verification

Found = tuple[str, str, Callable[[], list[tuple[Tensor, Tensor]]]]
CHAIN = (-1, 0, 1, 2, 3)
TREES = (CHAIN, (-1, -1, -1, 0, 0, 1, 3), (), (-1, -1, 0, 1, 1, 2, 2), None, (-1,))  # None: no such sequence
DEPTH = 6
PATHS = ((0, 2, 5), (), None, (1,), (0, 1, 2, 3), (3, 7))  # accepted nodes
WINDOWS = ((1, 4, 3), (2, 3, 5), (5, 5, 8), (3, 64, 2))  # low, high, tokens


def cases(device: torch.device) -> Iterator[Found]:
    for size, has_q in ((61, False), (61, True), (300, False), (300, True)):
        yield "verify", f"{len(TREES)} trees of {size} tokens{', q' * has_q}", verify_check(device, size, has_q)
    for width in (2, 192):
        yield "compact_kv", f"rows of {width}", compact_check(device, width)
    for depth in (1, 4, 7):
        yield "draft_inputs", f"depth {depth}", inputs_check(device, depth)
    for window in WINDOWS:
        yield "ngram_lookup", f"{window}", lookup_check(device, *window)


def verify_check(device: torch.device, size: int, has_q: bool) -> Callable[[], list[tuple[Tensor, Tensor]]]:
    """Greedy and sampled sequences in turn; most drafts are what the target would choose when greedy."""
    host, draw = Random(size), torch.Generator().manual_seed(size)
    batch, most = len(TREES), max(len(tree or ()) for tree in TREES)
    logits = torch.randn(batch, 1 + most, size, generator=draw) * 2
    parents, tokens = torch.zeros(2, batch, most, dtype=torch.int64)
    positions = host.randrange(1, 5000) + torch.arange(1 + most).repeat(batch, 1)
    for b, tree in enumerate(TREES):
        taken: dict[int, list[int]] = {}
        for node, parent in enumerate(tree or ()):
            order = logits[b, 1 + parent].argsort(descending=True).tolist()
            siblings = taken.setdefault(parent, [])
            siblings.append(order[len(siblings) + (host.random() < 0.3) * most])
            parents[b, node], tokens[b, node] = parent, siblings[-1]
    q = torch.softmax(torch.randn(batch, most, size, generator=draw) * 2, -1) if has_q else None
    counts = torch.tensor([-1 if tree is None else len(tree) for tree in TREES])
    temperatures = torch.tensor([0.7 if b % 3 else 0.0 for b in range(batch)], dtype=torch.float64)
    seeds = torch.tensor([host.randrange(-(2**63), 2**63) for _ in TREES])
    step: list[Any] = [each.to(device) for each in (logits, tokens, parents, counts, temperatures, seeds, positions)]
    laws = None if q is None else q.to(device)

    def check() -> list[tuple[Tensor, Tensor]]:
        from kernels.verify import triton

        return list(zip(*(module.verify(*step, DEPTH, laws) for module in (triton, verification)), strict=True))

    return check


def compact_check(device: torch.device, width: int) -> Callable[[], list[tuple[Tensor, Tensor]]]:
    """Slots of 20 rows; the last of a slot were never written."""
    made = torch.randn(3, len(PATHS), 20, width, generator=torch.Generator().manual_seed(width))
    made[:, :, 15:] = float("nan")
    ours, theirs = ([layer.view(-1, width).to(device, copy=True) for layer in made] for _ in range(2))
    source, goal = torch.full((2, len(PATHS), 5), -(2**40), device=device)
    for slot, path in enumerate(PATHS):
        rows = torch.tensor(path or (), dtype=torch.int64, device=device) + slot * 20 + 3
        source[slot, : len(rows)] = rows
        goal[slot, : len(rows)] = torch.arange(len(rows), device=device) + slot * 20 + 3
    counts = torch.tensor([len(path or ()) for path in PATHS], device=device)

    def check() -> list[tuple[Tensor, Tensor]]:
        from kernels.compact_kv.op import addresses
        from kernels.compact_kv.triton import compact

        compact(ours, addresses(ours), source, goal, counts)
        compaction.compact(theirs, source, goal, counts)
        return list(zip(ours, theirs, strict=True))

    return check


def inputs_check(device: torch.device, depth: int) -> Callable[[], list[tuple[Tensor, Tensor]]]:
    """What verification gives for these paths, cut to `depth`."""
    host, batch = Random(depth), len(PATHS)
    paths, emitted = torch.full((batch, depth), -1), torch.full((batch, depth + 1), -1)
    accepted = torch.full((batch,), -1)
    for b, path in enumerate(PATHS):
        if path is not None:
            kept = path[:depth]
            accepted[b], paths[b, : len(kept)] = len(kept), torch.tensor(kept, dtype=torch.int64)
            emitted[b, : len(kept) + 1] = torch.tensor([host.randrange(1000) for _ in range(len(kept) + 1)])
    starts, slots = torch.tensor([host.randrange(1, 40) for _ in PATHS]), torch.tensor([3, 0, 0, 1, 2, 4])
    given: list[Any] = [tensor.to(device) for tensor in (paths, emitted, accepted, starts, slots)]
    sizes = 9, 50  # rows of a sequence in the target's step, positions of a slot

    def check() -> list[tuple[Tensor, Tensor]]:
        from kernels.draft_inputs import triton

        return list(zip(*(module.draft_inputs(*given, *sizes) for module in (triton, inputs)), strict=True))

    return check


def lookup_check(
    device: torch.device, low: int, high: int, num_tokens: int
) -> Callable[[], list[tuple[Tensor, Tensor]]]:
    """Texts of few symbols, so that they repeat themselves, of all kinds of lengths."""
    host, most = Random(low), 75
    lengths = [0, 1, 2, most, *(host.randint(3, most) for _ in range(4))]
    texts = torch.full((len(lengths), most), torch.iinfo(torch.int32).min, dtype=torch.int32)
    for row, length in enumerate(lengths):
        texts[row, :length] = torch.tensor([host.randrange(3 if row % 2 else 50) for _ in range(length)])
    given = (texts.to(device), torch.tensor(lengths, device=device), low, high, num_tokens)

    def check() -> list[tuple[Tensor, Tensor]]:
        from kernels.ngram_lookup import triton

        return list(zip(triton.ngram_lookup(*given), lookup.ngram_lookup(*given), strict=True))

    return check
