"""Functions over tensors that stay where they are: CUDA graphs on a GPU, plain calls elsewhere."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch


class Captured:
    """A function of no arguments; `run` repeats what it did, with what its inputs hold by then.

    On a GPU it is called twice when it is built: to compile what is compiled on first use, and to be recorded. So it
    must do no harm with the inputs of that time. Elsewhere every run calls it.
    """

    def __init__(self, function: Callable[[], object], device: torch.device, pool: Any = None):
        self._function = function
        self._graph = _record(function, pool) if device.type == "cuda" else None

    def run(self) -> None:
        if self._graph is None:
            self._function()
        else:
            self._graph.replay()


def new_pool(device: torch.device) -> Any:
    """The memory that all graphs of an engine share: they run one after another, and leave nothing there."""
    return torch.cuda.graph_pool_handle() if device.type == "cuda" else None


def reserved_bytes(device: torch.device) -> int:
    """What torch holds of the GPU's memory."""
    return torch.cuda.memory_reserved(device) if device.type == "cuda" else 0


def _record(function: Callable[[], object], pool: Any) -> torch.cuda.CUDAGraph:
    """Without torch.cuda.graph, which collects garbage and empties the allocator's cache: there are many graphs."""
    stream, graph = torch.cuda.Stream(), torch.cuda.CUDAGraph()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        function()
        torch.cuda.synchronize()
        with _no_collection():
            graph.capture_begin(pool=pool)
            try:
                function()
            finally:
                graph.capture_end()
    torch.cuda.current_stream().wait_stream(stream)
    return graph


@contextmanager
def _no_collection() -> Iterator[None]:
    """What is freed while a graph is recorded might be a graph."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
