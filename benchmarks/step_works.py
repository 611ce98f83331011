"""What else benchmarks.gpu_kernels times: norms, activation, verification and look-up, at Llama-3.1-8B's sizes."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from benchmarks.kernel_works import Work, turns_for
from kernels.draft_inputs import reference as reference_inputs
from kernels.draft_inputs.op import draft_inputs
from kernels.ngram_lookup import reference as lookup
from kernels.ngram_lookup.op import ngram_lookup
from kernels.rms_norm import reference as norm
from kernels.rms_norm.op import add_rms_norm
from kernels.silu_and_mul import reference as activation
from kernels.silu_and_mul.op import silu_and_mul
from kernels.verify import reference as verification
from kernels.verify.op import verify


class Sizes(NamedTuple):
    """Of a model: widths of the residual stream and of the MLP, and the vocabulary."""

    hidden: int = 4096
    inner: int = 14336
    vocabulary: int = 128256
    dtype: torch.dtype = torch.bfloat16


LLAMA_8B = Sizes()


def norm_work(device: torch.device, rows: int, sizes: Sizes = LLAMA_8B) -> Work:
    num_bytes = 4 * rows * sizes.hidden * sizes.dtype.itemsize
    turns = min(turns_for(num_bytes), 64)
    both = torch.randn(turns, 2, rows, sizes.hidden, device=device, dtype=sizes.dtype)
    weight = torch.ones(sizes.hidden, device=device, dtype=sizes.dtype)

    def run(turn: int) -> tuple[Tensor, Tensor]:
        return add_rms_norm(both[turn, 0], both[turn, 1], weight, 1e-5)

    def check() -> tuple[Tensor, Tensor]:
        return torch.cat(run(0)), torch.cat(norm.add_rms_norm(both[0, 0], both[0, 1], weight, 1e-5))

    return Work("rms_norm", f"{rows} rows and residual", num_bytes, turns, run, check)


def activation_work(device: torch.device, rows: int, sizes: Sizes = LLAMA_8B) -> Work:
    num_bytes = 3 * rows * sizes.inner * sizes.dtype.itemsize
    turns = min(turns_for(num_bytes), 64)
    gate_up = torch.randn(turns, rows, 2 * sizes.inner, device=device, dtype=sizes.dtype)

    def check() -> tuple[Tensor, Tensor]:
        return silu_and_mul(gate_up[0]), activation.silu_and_mul(gate_up[0])

    return Work("silu_and_mul", f"{rows} rows", num_bytes, turns, lambda turn: silu_and_mul(gate_up[turn]), check)


def verify_work(device: torch.device, batch: int, nodes: int, temperature: float, sizes: Sizes = LLAMA_8B) -> Work:
    """Chains of one-hot drafts, of which the first half is what the target chooses when greedy."""
    num_bytes = batch * (1 + nodes) * sizes.vocabulary * 4
    turns = turns_for(num_bytes)
    logits = torch.randn(turns, batch, 1 + nodes, sizes.vocabulary, device=device)
    tokens = logits[0, :, :-1].argmax(-1)
    tokens[:, nodes // 2 :] = 0
    parents = torch.arange(-1, nodes - 1, device=device).repeat(batch, 1)
    positions = torch.arange(10, 11 + nodes, device=device).repeat(batch, 1)
    temperatures = torch.full((batch,), temperature, device=device, dtype=torch.float64)
    counts, seeds = torch.full((batch,), nodes, device=device), torch.arange(batch, device=device)

    def run(turn: int) -> tuple[Tensor, Tensor, Tensor]:
        return verify(logits[turn], tokens, parents, counts, temperatures, seeds, positions, nodes)

    def check() -> tuple[Tensor, Tensor]:
        step = (logits[0], tokens, parents, counts, temperatures, seeds, positions, nodes)
        return run(0)[1], verification.verify(*step).emitted

    name = f"batch {batch}, {nodes} nodes, temperature {temperature:g}"
    return Work("verify", name, num_bytes, turns, run, check)


def lookup_work(device: torch.device, batch: int, length: int) -> Work:
    num_bytes = batch * length * 4
    turns = min(turns_for(num_bytes), 64)
    texts = torch.randint(0, 4096, (turns, batch, length), device=device, dtype=torch.int32)
    lengths = torch.full((batch,), length, device=device, dtype=torch.int32)

    def check() -> tuple[Tensor, Tensor]:
        return ngram_lookup(texts[0], lengths, 1, 4, 5)[0], lookup.ngram_lookup(texts[0], lengths, 1, 4, 5)[0]

    def run(turn: int) -> tuple[Tensor, Tensor]:
        return ngram_lookup(texts[turn], lengths, 1, 4, 5)

    return Work("ngram_lookup", f"batch {batch}, texts of {length}", num_bytes, turns, run, check)


def inputs_work(device: torch.device, batch: int, depth: int = 7) -> Work:
    """Few bytes: what it takes is a launch. Chains of which a different number of nodes was accepted."""
    accepted = torch.arange(batch, device=device) % (depth + 1)
    ranks = torch.arange(depth + 1, device=device)
    emitted = torch.where(ranks <= accepted[:, None], 7 + ranks, -1)
    paths = torch.where(ranks[:depth] < accepted[:, None], ranks[:depth], -1)
    starts, slots = torch.full((batch,), 100, device=device), torch.arange(batch, device=device)

    def run(turn: int) -> list[Tensor]:
        return list(draft_inputs(paths, emitted, accepted, starts, slots, depth + 1, 4096))

    def check() -> tuple[Tensor, Tensor]:
        expected = reference_inputs.draft_inputs(paths, emitted, accepted, starts, slots, depth + 1, 4096)
        return torch.cat([each.flatten() for each in run(0)]), torch.cat([each.flatten() for each in expected])

    num_bytes = 8 * batch * (6 * (depth + 1) + 7)
    return Work("draft_inputs", f"batch {batch}, depth {depth}", num_bytes, 8, run, check)


def norm_works(device: torch.device) -> Iterator[Work]:
    yield from (norm_work(device, rows) for rows in (1, 64, 1024))


def activation_works(device: torch.device) -> Iterator[Work]:
    yield from (activation_work(device, rows) for rows in (1, 64, 1024))


def inputs_works(device: torch.device) -> Iterator[Work]:
    yield from (inputs_work(device, batch) for batch in (1, 64))


def verify_works(device: torch.device) -> Iterator[Work]:
    for batch in (1, 16, 64):
        yield verify_work(device, batch, 7, temperature=0.0)
        yield verify_work(device, batch, 7, temperature=1.0)


def lookup_works(device: torch.device) -> Iterator[Work]:
    yield from (lookup_work(device, batch, 8192) for batch in (1, 64))


WORKS: dict[str, Callable[[torch.device], Iterator[Work]]] = {
    "rms_norm": norm_works,
    "silu_and_mul": activation_works,
    "verify": verify_works,
    "ngram_lookup": lookup_works,
    "draft_inputs": inputs_works,
}
