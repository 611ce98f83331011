"""What benchmarks.gpu_kernels times: the kernels at the sizes of a Llama-3.1-8B shape in bf16."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from kernels.compact_kv import reference as compaction
from kernels.compact_kv.op import addresses, compact_kv
from kernels.qk_norm_rope_cache import reference as rotation
from kernels.qk_norm_rope_cache.op import qk_norm_rope_cache
from kernels.tree_attention import reference as attention
from kernels.tree_attention.op import tree_attention

BEYOND_CACHE = 2**28  # bytes that turns go over together: several times an L2 cache


class Work(NamedTuple):
    """One kernel at one size. Turn i of run has memory of its own."""

    kernel: str
    shape: str
    num_bytes: int  # that a run must move at least
    turns: int
    run: Callable[[int], object]
    check: Callable[[], tuple[Tensor, Tensor]]  # what the kernel gives, and what its reference does


class Shape(NamedTuple):
    """Of a model; `unit` is the bytes of a number."""

    heads: int = 32
    kv_heads: int = 8
    dim: int = 128
    layers: int = 32
    unit: int = 2
    dtype: torch.dtype = torch.bfloat16

    @property
    def row(self) -> int:
        """Numbers of a cache row."""
        return 2 * self.kv_heads * self.dim


LLAMA_8B = Shape()


def turns_for(num_bytes: int) -> int:
    return max(2, -(-BEYOND_CACHE // num_bytes))


def attention_work(device: torch.device, batch: int, q_len: int, kv_len: int, shape: Shape = LLAMA_8B) -> Work:
    """Slots filled up to kv_len with the nodes last; a chain, as the masks of a tree change no byte."""
    slot_len, prefix = kv_len + 64, kv_len - q_len + 1
    num_bytes = batch * kv_len * shape.row * shape.unit
    turns = turns_for(num_bytes)
    query = torch.randn(batch, q_len, shape.heads, shape.dim, device=device, dtype=shape.dtype)
    caches = [torch.randn(batch * slot_len, shape.row, device=device, dtype=shape.dtype) for _ in range(turns)]
    table = torch.arange(batch, device=device, dtype=torch.int32)[:, None]
    index = torch.tensor([[prefix], [q_len]], device=device).repeat(1, batch)
    masks = None if q_len == 1 else ((1 << torch.arange(q_len, device=device)) - 1).repeat(batch, 1)

    def inputs(turn: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor | None, float, int]:
        return query, caches[turn], table, index[0], index[1], masks, shape.dim**-0.5, slot_len

    def check() -> tuple[Tensor, Tensor]:
        return tree_attention(*inputs(0)), attention.attend(*inputs(0))

    sizes = f"batch {batch}, {q_len} rows, context {kv_len}"
    return Work("tree_attention", sizes, num_bytes, turns, lambda turn: tree_attention(*inputs(turn)), check)


def rotation_work(device: torch.device, rows: int, has_norm: bool, shape: Shape = LLAMA_8B) -> Work:
    width = (shape.heads * shape.dim) + shape.row
    num_bytes = rows * (2 * width * shape.unit + 4 * shape.dim)
    turns = min(turns_for(num_bytes), 64)
    steps = [torch.randn(rows, width, device=device, dtype=shape.dtype) for _ in range(turns)]
    caches = [torch.zeros(2 * rows, shape.row, device=device, dtype=shape.dtype) for _ in range(turns)]
    places = torch.arange(rows, device=device) * 2
    angles = torch.outer(torch.arange(2.0 * rows), torch.linspace(1, 0.001, shape.dim // 2))
    rotations = torch.polar(torch.ones_like(angles), angles).to(device)
    norms = torch.randn(shape.heads + shape.kv_heads, shape.dim, device=device, dtype=shape.dtype) if has_norm else None

    def inputs(turn: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor | None, float]:
        return steps[turn], caches[turn], places, places, rotations, norms, 1e-6

    def check() -> tuple[Tensor, Tensor]:
        expected_cache = caches[0].clone()
        expected = rotation.rotate_and_write(steps[0], expected_cache, places, places, rotations, norms, 1e-6)
        got = qk_norm_rope_cache(*inputs(0))
        return torch.cat([got, caches[0][places]], 1), torch.cat([expected, expected_cache[places]], 1)

    sizes = f"{rows} rows{', qk norm' if has_norm else ''}"
    return Work("qk_norm_rope_cache", sizes, num_bytes, turns, lambda turn: qk_norm_rope_cache(*inputs(turn)), check)


def compaction_work(device: torch.device, batch: int, path: int, shape: Shape = LLAMA_8B) -> Work:
    """Every tree has an accepted path of `path` nodes, all of which move."""
    slot_len = 4 * path + 2
    layers = [torch.randn(batch * slot_len, shape.row, device=device, dtype=shape.dtype) for _ in range(shape.layers)]
    begin = torch.arange(batch, device=device)[:, None] * slot_len
    goal = begin + torch.arange(path, device=device)
    source = begin + 3 * torch.arange(path, device=device) + 1
    counts, places = torch.full((batch,), path, device=device), addresses(layers)

    def check() -> tuple[Tensor, Tensor]:
        expected = [layer.clone() for layer in layers]
        compaction.compact(expected, source, goal, counts)
        compact_kv(layers, places, source, goal, counts)
        return torch.stack(layers), torch.stack(expected)

    def run(turn: int) -> None:
        compact_kv(layers, places, source, goal, counts)

    num_bytes = 2 * batch * path * shape.layers * shape.row * shape.unit
    return Work("compact_kv", f"batch {batch}, paths of {path}, {shape.layers} layers", num_bytes, 8, run, check)


def attention_works(device: torch.device) -> Iterator[Work]:
    for batch in (1, 4, 16, 64):
        for q_len in (1, 4, 8, 16, 64):
            yield attention_work(device, batch, q_len, 4096)
    yield attention_work(device, 1, 1, 32768)


def rotation_works(device: torch.device) -> Iterator[Work]:
    for rows in (1, 64, 1024):
        yield rotation_work(device, rows, has_norm=False)
        yield rotation_work(device, rows, has_norm=True)


def compaction_works(device: torch.device) -> Iterator[Work]:
    for batch in (1, 16, 64):
        yield compaction_work(device, batch, 4)


WORKS: dict[str, Callable[[torch.device], Iterator[Work]]] = {
    "tree_attention": attention_works,
    "qk_norm_rope_cache": rotation_works,
    "compact_kv": compaction_works,
}
