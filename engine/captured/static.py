"""Integers that the host writes and the device reads, by name, brought over in one copy."""

from collections.abc import Mapping
from math import prod

import numpy as np
import torch
from torch import Tensor

FLOATS = frozenset({"temperatures", "top_p", "min_p"})


class StaticInputs:
    """host[name] (numpy) and device[name] (tensor) of the given shapes, int64, or float64 for FLOATS.

    Each begins at a multiple of 16 bytes. On a CPU both are one memory.
    """

    def __init__(self, shapes: Mapping[str, tuple[int, ...]], device: torch.device):
        sizes = {name: prod(shape) for name, shape in shapes.items()}
        total = sum(size + size % 2 for size in sizes.values())
        on_gpu = device.type == "cuda"
        self._from = torch.zeros(total, dtype=torch.int64, pin_memory=on_gpu)
        self._to = torch.zeros(total, dtype=torch.int64, device=device) if on_gpu else self._from
        self._sent = torch.cuda.Event() if on_gpu else None
        self.host: dict[str, np.ndarray] = {}
        self.device: dict[str, Tensor] = {}
        begin = 0
        for name, shape in shapes.items():
            end = begin + sizes[name]
            ours, theirs = self._from[begin:end], self._to[begin:end]
            if name in FLOATS:
                ours, theirs = ours.view(torch.float64), theirs.view(torch.float64)
            self.host[name], self.device[name] = ours.numpy().reshape(shape), theirs.view(shape)
            begin = end + sizes[name] % 2

    def settle(self) -> None:
        """Wait until what was sent last is there: only then may the host's numbers change."""
        if self._sent is not None:
            self._sent.synchronize()

    def send(self) -> None:
        """Begin to bring the host's numbers over."""
        if self._sent is not None:
            self._to.copy_(self._from, non_blocking=True)
            self._sent.record()


class Report:
    """Tensors of the device, int64, read by the host in one copy; their shapes never change."""

    def __init__(self, device: torch.device):
        self._here: Tensor | None = None
        self._done = torch.cuda.Event() if device.type == "cuda" else None

    def fetch(self, whole: Tensor) -> None:
        """Start to copy `whole`, which is flat."""
        if self._done is None:
            self._here = whole
            return
        if self._here is None or self._here.shape != whole.shape:
            self._here = torch.empty(whole.shape, dtype=whole.dtype, pin_memory=True)
        self._here.copy_(whole, non_blocking=True)
        self._done.record()

    def wait(self) -> np.ndarray:
        """What was fetched last: the one wait of a step."""
        assert self._here is not None
        if self._done is not None:
            self._done.synchronize()
        return self._here.numpy()
