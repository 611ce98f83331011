"""What else benchmarks.gpu_kernels times: products of quantized weights, at the sizes of an EAGLE-3 head's widest."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from benchmarks.kernel_works import Work, turns_for
from kernels.quantized_linear import reference
from kernels.quantized_linear.op import int4_linear, quantized_linear

WIDEST = (28672, 4096)  # outputs, inputs: gate and up of Llama-3.1-8B's shape
GROUP = 128
SPREAD = 0.02  # of the weights that the stored numbers stand for
DTYPE = torch.bfloat16


def eight_bit_work(device: torch.device, kind: torch.dtype, rows: int, size: tuple[int, int] = WIDEST) -> Work:
    outputs, width = size
    num_bytes = outputs * width
    turns = turns_for(num_bytes)
    numbers = torch.randn(turns, outputs, width, device=device, dtype=DTYPE) * 40
    stored = numbers.clamp(-127, 127).round().to(kind) if kind == torch.int8 else numbers.to(kind)
    scales = torch.full((outputs,), SPREAD / 40, device=device)
    x = torch.randn(rows, width, device=device, dtype=DTYPE)

    def run(turn: int) -> Tensor:
        return quantized_linear(x, stored[turn], scales, None)

    def check() -> tuple[Tensor, Tensor]:
        return run(0), reference.quantized_linear(x, stored[0], scales, None)

    name = f"{str(kind).removeprefix('torch.')}, {rows} rows"
    return Work("quantized_linear", name, num_bytes, turns, run, check)


def four_bit_work(device: torch.device, rows: int, size: tuple[int, int] = WIDEST) -> Work:
    outputs, width = size
    groups = width // GROUP
    num_bytes = outputs * width // 2 + 3 * outputs * groups
    turns = turns_for(num_bytes)
    packed = torch.randint(0, 256, (turns, outputs, width // 2), device=device, dtype=torch.uint8)
    zeros = torch.full((outputs, groups), 8, device=device, dtype=torch.uint8)
    scales = torch.full((outputs, groups), SPREAD / 4, device=device, dtype=DTYPE)
    x = torch.randn(rows, width, device=device, dtype=DTYPE)

    def run(turn: int) -> Tensor:
        return int4_linear(x, packed[turn], scales, zeros, None)

    def check() -> tuple[Tensor, Tensor]:
        return run(0), reference.int4_linear(x, packed[0], scales, zeros, None)

    return Work("quantized_linear", f"int4, {rows} rows", num_bytes, turns, run, check)


def product_works(device: torch.device) -> Iterator[Work]:
    for rows in (1, 16, 64):
        yield eight_bit_work(device, torch.int8, rows)
        yield eight_bit_work(device, torch.float8_e4m3fn, rows)
        yield four_bit_work(device, rows)


WORKS: dict[str, Callable[[torch.device], Iterator[Work]]] = {"quantized_linear": product_works}
