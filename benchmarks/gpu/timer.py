"""Seconds by the GPU's own clock, as medians; what is compared takes turns."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from statistics import median
from typing import Any, Protocol

import torch

REPEATS = 20
Run = Callable[[], object]


class Cuda(Protocol):
    """What of torch.cuda a timer needs."""

    Event: Callable[..., Any]
    Stream: Callable[[], Any]
    CUDAGraph: Callable[[], Any]

    def synchronize(self) -> None: ...
    def stream(self, stream: Any) -> AbstractContextManager[Any]: ...
    def graph(self, graph: Any) -> AbstractContextManager[Any]: ...


class Timer:
    """A clock for work on the GPU. `cuda` is torch.cuda."""

    def __init__(self, cuda: Any = torch.cuda):
        self._cuda: Cuda = cuda

    def once(self, run: Run) -> float:
        """Seconds of one call between two events."""
        begin, end = self._cuda.Event(enable_timing=True), self._cuda.Event(enable_timing=True)
        begin.record()
        run()
        end.record()
        self._cuda.synchronize()
        return begin.elapsed_time(end) / 1e3

    def in_graph(self, run: Callable[[int], object], turns: int) -> float:
        """Median seconds of one of `turns` captured runs; all run before, since Triton compiles at first use."""
        self._cuda.synchronize()
        with self._cuda.stream(self._cuda.Stream()):
            for turn in range(turns):
                run(turn)
        self._cuda.synchronize()
        graph = self._cuda.CUDAGraph()
        with self._cuda.graph(graph):
            for turn in range(turns):
                run(turn)
        return median(self.once(graph.replay) for _ in range(REPEATS)) / turns

    def paired(self, runs: Mapping[str, Run], rounds: int) -> dict[str, list[float]]:
        """Seconds of every run in every round; the order alternates, and a round before does not count."""
        seconds: dict[str, list[float]] = {name: [] for name in runs}
        for turn in range(rounds + 1):
            for name in runs if turn % 2 else reversed(list(runs)):
                spent = self.once(runs[name])
                if turn:
                    seconds[name].append(spent)
        return seconds
