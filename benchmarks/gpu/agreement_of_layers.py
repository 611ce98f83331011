"""Small cases of what a layer runs: attention, norm and rotation with the cache write, norms, activation, products."""

from collections.abc import Callable, Iterator
from random import Random

import torch
from torch import Tensor

from kernels.qk_norm_rope_cache import reference as rotation
from kernels.quantized_linear import reference as products
from kernels.rms_norm import reference as norm
from kernels.silu_and_mul import reference as activation
from kernels.tree_attention import reference as attention

Found = tuple[str, str, Callable[[], list[tuple[Tensor, Tensor]]]]
# query heads, kv heads, D, q_len, prefixes (0: no such sequence), tree, block (None: a slot is one), window
ATTENTION = (
    (4, 2, 64, 1, (70, 3, 0), False, None, None),
    (6, 3, 80, 5, (33, 1), True, None, None),
    (8, 1, 128, 8, (90, 31, 0, 64), True, 16, None),
    (2, 2, 32, 9, (40, 3), True, None, 12),
    (4, 4, 256, 4, (19,), False, None, 7),
    (1, 1, 32, 70, (9,), True, None, None),  # more nodes than a word of a mask has bits
)
ROTATION = ((1, 1, 32, False), (6, 3, 80, True), (8, 2, 128, True), (5, 5, 256, False))
WIDTHS = ((1, 1), (3, 7), (4, 1030))
PRODUCTS = ((1, 16, 64), (3, 33, 128), (70, 20, 256))  # rows, outputs, inputs
GROUP = 32


def cases(device: torch.device, dtype: torch.dtype) -> Iterator[Found]:
    name = str(dtype).removeprefix("torch.")
    for shape in ATTENTION:
        yield "tree_attention", f"{shape} {name}", attention_check(device, dtype, *shape)
    for sizes in ROTATION:
        yield "qk_norm_rope_cache", f"{sizes} {name}", rotation_check(device, dtype, *sizes)
    for rows, width in WIDTHS:
        yield "rms_norm", f"{rows} x {width} {name}", norm_check(device, dtype, rows, width)
        yield "silu_and_mul", f"{rows} x {width} {name}", activation_check(device, dtype, rows, width)
    for product in PRODUCTS:
        yield "quantized_linear", f"{product} {name}", product_check(device, dtype, *product)


def attention_check(
    device: torch.device,
    dtype: torch.dtype,
    heads: int,
    kv_heads: int,
    dim: int,
    q_len: int,
    prefixes: tuple[int, ...],
    tree: bool,
    block: int | None,
    window: int | None,
) -> Callable[[], list[tuple[Tensor, Tensor]]]:
    """Sequence i has q_len - i rows."""
    lengths = [max(q_len - i, 1) if prefix else 0 for i, prefix in enumerate(prefixes)]
    slot_len = max(prefixes) + q_len + 3
    size = block or slot_len
    blocks, batch = -(-slot_len // size), len(prefixes)
    order = torch.randperm(batch * blocks, generator=torch.Generator().manual_seed(1)).view(batch, blocks)
    cache = unwritten(batch * blocks * size, 2 * kv_heads * dim, dtype=dtype, device=device)
    query = unwritten(batch, q_len, heads, dim, dtype=dtype, device=device)
    for i, (prefix, length) in enumerate(zip(prefixes, lengths, strict=True)):
        row = torch.arange(prefix + length - 1 if length else 0)
        places = order[i, row // size] * size + row % size
        cache[places.to(device)] = noise(len(row), 2 * kv_heads * dim, dtype=dtype, device=device, seed=i)
        query[i, :length] = noise(length, heads, dim, dtype=dtype, device=device, seed=50 + i)
    words = masks(lengths, q_len).to(device) if tree else None
    index = torch.tensor([[prefix or -7 for prefix in prefixes], lengths], device=device)
    inputs = (query, cache, order.to(device, torch.int32), *index, words, dim**-0.5, size, window)

    def check() -> list[tuple[Tensor, Tensor]]:
        from kernels.tree_attention.triton import attend

        got, expected = attend(*inputs), attention.attend(*inputs)
        return [(got[i, :n], expected[i, :n]) for i, n in enumerate(lengths)]

    return check


def masks(lengths: list[int], q_len: int) -> Tensor:
    """int64 [batch, q_len] or with two words: a root, and nodes whose parents are drawn."""
    draw, words = Random(q_len), 1 if q_len <= 65 else 2
    found = torch.full((len(lengths), q_len, words), -1, dtype=torch.int64)
    for i, length in enumerate(lengths):
        seen = [0]
        for row in range(1, length):
            seen.append(seen[draw.randrange(row)] | 1 << (row - 1))
        for row, mask in enumerate(seen[:length]):
            found[i, row] = torch.tensor([signed(mask >> 64 * word) for word in range(words)])
    return found.squeeze(2)


def signed(bits: int) -> int:
    """The lowest 64 bits as an int64."""
    return (bits + 2**63) % 2**64 - 2**63


def rotation_check(
    device: torch.device, dtype: torch.dtype, heads: int, kv_heads: int, dim: int, has_norm: bool
) -> Callable[[], list[tuple[Tensor, Tensor]]]:
    """Five rows, one of them padding."""
    width = 2 * kv_heads * dim
    places, positions = torch.tensor([[7, 2, -1, 40, 3], [0, 5, 0, 63, 9]], device=device)
    angles = torch.outer(torch.arange(64.0), torch.linspace(1, 0.001, dim // 2))
    table = torch.polar(torch.ones_like(angles), angles).to(device)
    norms = noise(heads + kv_heads, dim, dtype=dtype, device=device, seed=1) if has_norm else None
    qkv = noise(5, heads * dim + width, dtype=dtype, device=device)
    ours, theirs = (unwritten(48, width, dtype=dtype, device=device) for _ in range(2))
    rest = (places, positions, table, norms, 1e-6)

    def check() -> list[tuple[Tensor, Tensor]]:
        from kernels.qk_norm_rope_cache.triton import rotate_and_write

        got, expected = rotate_and_write(qkv.clone(), ours, *rest), rotation.rotate_and_write(qkv, theirs, *rest)
        return [(got[places >= 0], expected[places >= 0]), (ours, theirs)]

    return check


def norm_check(
    device: torch.device, dtype: torch.dtype, rows: int, width: int
) -> Callable[[], list[tuple[Tensor, Tensor]]]:
    x, residual, weight = (noise(rows, width, dtype=dtype, device=device, seed=seed) for seed in range(3))

    def check() -> list[tuple[Tensor, Tensor]]:
        from kernels.rms_norm import triton

        both, expected = (module.add_rms_norm(x, residual, weight[0], 1e-5) for module in (triton, norm))
        alone = triton.rms_norm(x, weight[0], 1e-6), norm.rms_norm(x, weight[0], 1e-6)
        return [alone, *zip(both, expected, strict=True)]

    return check


def activation_check(
    device: torch.device, dtype: torch.dtype, rows: int, width: int
) -> Callable[[], list[tuple[Tensor, Tensor]]]:
    gate_up = noise(rows, 2 * width, dtype=dtype, device=device) * 4

    def check() -> list[tuple[Tensor, Tensor]]:
        from kernels.silu_and_mul.triton import silu_and_mul

        return [(silu_and_mul(gate_up), activation.silu_and_mul(gate_up))]

    return check


def product_check(
    device: torch.device, dtype: torch.dtype, rows: int, outputs: int, width: int
) -> Callable[[], list[tuple[Tensor, Tensor]]]:
    """In int8, in e4m3 and in 4 bits."""
    x, bias = (noise(n, m, dtype=dtype, device=device) / 8 for n, m in ((rows, width), (1, outputs)))
    numbers = noise(outputs, width, dtype=torch.float32, device=device, seed=1) * 40
    scales = noise(1, outputs, dtype=torch.float32, device=device, seed=2)[0] / 100
    stored = numbers.clamp(-127, 127).round().to(torch.int8), numbers.to(torch.float8_e4m3fn)
    draw = torch.Generator().manual_seed(3)
    packed = torch.randint(0, 256, (outputs, width // 2), generator=draw, dtype=torch.uint8).to(device)
    zeros = torch.randint(0, 16, (outputs, width // GROUP), generator=draw, dtype=torch.uint8).to(device)
    steps = noise(*zeros.shape, dtype=dtype, device=device, seed=4) / 40

    def check() -> list[tuple[Tensor, Tensor]]:
        from kernels.quantized_linear import triton

        both = (triton, products)
        eight = [tuple(each.quantized_linear(x, weight, scales, bias[0]) for each in both) for weight in stored]
        return [*eight, tuple(each.int4_linear(x, packed, steps, zeros, None) for each in both)]

    return check


def noise(*shape: int, dtype: torch.dtype, device: torch.device, seed: int = 0) -> Tensor:
    """Normal values, the same on every device."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(device, dtype)


def unwritten(*shape: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.full(shape, float("nan"), dtype=dtype, device=device)
