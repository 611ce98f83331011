"""Functions over tensors that stay where they are: CUDA graphs on a GPU, plain calls elsewhere."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch


class Pool:
    """What all graphs of an engine share: memory, as they run one after another and leave nothing there; and the stream
    on which they are recorded, since torch keeps a workspace for matrix products for every stream it has met.
    """

    def __init__(self) -> None:
        self.memory = torch.cuda.graph_pool_handle()
        self.stream = torch.cuda.Stream()


class Captured:
    """A function of no arguments; `run` repeats what it did, with what its inputs hold by then.

    On a GPU it is called twice when it is built: to compile what is compiled on first use, and to be recorded. So it
    must do no harm with the inputs of that time. Elsewhere, where there is no pool, every run calls it.
    """

    def __init__(self, function: Callable[[], object], pool: Pool | None):
        self._function = function
        self._graph = None if pool is None else _record(function, pool)

    def run(self) -> None:
        if self._graph is None:
            self._function()
        else:
            self._graph.replay()


def new_pool(device: torch.device) -> Pool | None:
    return Pool() if device.type == "cuda" else None


def reserved_bytes(device: torch.device) -> int:
    """What torch holds of the GPU's memory."""
    return torch.cuda.memory_reserved(device) if device.type == "cuda" else 0


def _record(function: Callable[[], object], pool: Pool) -> torch.cuda.CUDAGraph:
    """Without torch.cuda.graph, which collects garbage and empties the allocator's cache: there are many graphs."""
    stream, graph = pool.stream, torch.cuda.CUDAGraph()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        function()
        torch.cuda.synchronize()
        with _no_collection():
            graph.capture_begin(pool=pool.memory)
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
