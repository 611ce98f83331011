"""A GPU's clock and captured steps without a GPU: what is timed takes the seconds that it is said to."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from types import SimpleNamespace

from benchmarks.gpu.bench import Bench
from benchmarks.gpu.sizes import Sizes
from benchmarks.gpu.timer import Timer

SMALL = Sizes(
    copied=4096, product=16, batches=(1, 2), q_lens=(1, 8), drafts=(1, 4), synthetic=(2, 4), context=40,
    max_model_len=120, prompt=24, short=2, long=10, rounds=1, steps=5,
)  # fmt: skip


class Cuda:
    """torch.cuda as Timer uses it. `now` is in seconds; a replay takes `per_turn` for all that was captured."""

    def __init__(self, per_turn: float = 1e-3):
        self.now, self._per_turn, self._capturing, self.calls = 0.0, per_turn, False, 0

    def Event(self, enable_timing: bool) -> SimpleNamespace:
        assert enable_timing
        event = SimpleNamespace(at=None)
        event.record = lambda: setattr(event, "at", self.now)
        event.elapsed_time = lambda later: (later.at - event.at) * 1e3
        return event

    def Stream(self) -> object:
        return object()

    def CUDAGraph(self) -> SimpleNamespace:
        return SimpleNamespace(replay=lambda: self.pass_by(self._per_turn))

    @contextmanager
    def stream(self, stream: object) -> Iterator[None]:
        yield

    @contextmanager
    def graph(self, graph: object) -> Iterator[None]:
        self._capturing = True
        yield
        self._capturing = False

    def synchronize(self) -> None:
        assert not self._capturing, "a captured region must not wait for the GPU"

    def pass_by(self, seconds: float) -> None:
        self.now += seconds


class HostClock(Cuda):
    """Seconds as they pass, for what really runs."""

    now = property(lambda self: perf_counter(), lambda self, value: None)


class Steps:
    """A target step takes `step` seconds and `row` more for every further row, a draft `depth` for every token."""

    def __init__(self, cuda: Cuda, step: float = 1e-3, row: float = 1e-5, depth: float = 4e-5):
        self._cuda, self._step, self._row, self._depth = cuda, step, row, depth
        self.asked: list[tuple] = []

    def target_step(self, engine, batch: int, q_len: int, context: int) -> Callable[[], None]:
        self.asked.append(("step", batch, q_len, context))
        return lambda: self._cuda.pass_by(self._step + self._row * (batch * q_len - 1))

    def draft_loop(self, engine, batch: int, num_tokens: int, context: int) -> Callable[[], None]:
        assert engine.speculative_config.method == "eagle3"
        assert engine.speculative_config.num_speculative_tokens == num_tokens
        self.asked.append(("draft", batch, num_tokens, context))
        return lambda: self._cuda.pass_by(self._depth * num_tokens)


def bench_of(cuda: Cuda, device, sizes: Sizes = SMALL, budget: float = 1e9) -> Bench:
    return Bench(device, Timer(cuda), budget, lambda: Steps(cuda), sizes)
