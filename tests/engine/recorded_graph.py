"""A stand-in for CUDA graphs: what a function does is recorded once, operator by operator, and repeated from then on.

As in a graph, whatever Python decided while it was recorded stays decided, and only memory that both sides know can
bring anything new. What a GPU could not record at all is noted: numbers read from tensors, or made into tensors.
"""

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

WAITING = ("_local_scalar_dense", "nonzero", "lift_fresh", "unique", "is_nonzero")


class Recorder(TorchDispatchMode):
    """Calls of operators in their order, those of our own as one; `waits` are the names of what could not be."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, tuple, dict, list[Any]]] = []
        self.waits: list[str] = []
        self.inside = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name, kwargs = str(func), kwargs or {}
        self.waits += [name] if any(each in name for each in WAITING) else []
        self.inside += name.startswith("spectune")
        try:
            out = func(*args, **kwargs)
        finally:
            self.inside -= name.startswith("spectune")
        self.calls.append((func, args, kwargs, tree_flatten(out)[0]))
        return out


class RecordedGraph:
    """Takes the place of engine.captured.graphs.Captured."""

    waits: ClassVar[list[str]] = []

    def __init__(self, function: Callable[[], object], pool: Any):
        self._recorder, read = Recorder(), torch.Tensor.tolist
        function()  # as a GPU does: what compiles on first use

        def tolist(tensor):
            self._recorder.waits += [] if self._recorder.inside else ["tolist"]
            return read(tensor)

        torch.Tensor.tolist = tolist
        try:
            with self._recorder:
                function()
        finally:
            torch.Tensor.tolist = read
        self.waits += self._recorder.waits

    def run(self) -> None:
        made: dict[int, Any] = {}

        def now(value):
            return made.get(id(value), value) if isinstance(value, torch.Tensor) else value

        for func, args, kwargs, outs in self._recorder.calls:
            found = tree_flatten(func(*tree_map(now, args), **tree_map(now, kwargs)))[0]
            made |= {id(old): new for old, new in zip(outs, found, strict=True) if isinstance(old, torch.Tensor)}
