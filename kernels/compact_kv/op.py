"""The operator `torch.ops.spectune.compact_kv`."""

from collections.abc import Sequence

import torch
from torch import Tensor

from kernels.compact_kv import reference


def addresses(layers: Sequence[Tensor]) -> Tensor:
    """[layers] int64, where each layer lies: made once for a cache, as it takes a copy to the device."""
    for layer in layers:
        if layer.dim() != 2 or not layer.is_contiguous() or layer.shape[1] * layer.element_size() % 4:
            raise ValueError(f"a cache layer is contiguous rows of whole 32-bit words, not {tuple(layer.shape)}")
        if layer.data_ptr() % 16:
            raise ValueError("a cache layer begins at a multiple of 16 bytes: allocate it alone")
    return torch.tensor([layer.data_ptr() for layer in layers], dtype=torch.int64, device=layers[0].device)


@torch.library.custom_op("spectune::compact_kv", mutates_args={"layers"})
def compact_kv(layers: list[Tensor], table: Tensor, source: Tensor, goal: Tensor, counts: Tensor) -> None:
    """The rows of accepted paths move down, in every layer [rows, width] of one dtype: see reference.compact."""
    if source.device.type == "cpu":
        return reference.compact(layers, source, goal, counts)
    from kernels.compact_kv.triton import compact

    return compact(layers, table, source, goal, counts)


@compact_kv.register_fake
def _(layers: list[Tensor], table: Tensor, source: Tensor, goal: Tensor, counts: Tensor) -> None:
    return None
