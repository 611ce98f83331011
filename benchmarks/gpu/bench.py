"""What the measurements share, and how each is run by itself: one that fails costs no other its figures."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import torch

from benchmarks.gpu import failures
from benchmarks.gpu.captured import Steps, engine_steps
from benchmarks.gpu.sizes import FULL, Sizes
from benchmarks.gpu.timer import Timer


@dataclass
class Bench:
    """What the sections share: the machine, how it is timed, the time that is left, and what was found."""

    device: torch.device
    timer: Timer
    budget: float  # seconds
    steps: Callable[[], Steps] = engine_steps
    sizes: Sizes = FULL
    began: float = field(default_factory=perf_counter)
    log: list[dict[str, Any]] = field(default_factory=list)

    @property
    def spent(self) -> float:
        return perf_counter() - self.began

    @contextmanager
    def section(self, name: str) -> Iterator[None]:
        """Its seconds and how it ended, printed and kept; an error is shown and ends this section only."""
        begin, status = perf_counter(), "done"
        try:
            yield
        except Exception as error:
            status = f"failed: {failures.line(error)}"
        self.log.append({"section": name, "seconds": perf_counter() - begin, "status": status})
        print(f"\n[{name}: {status}, {perf_counter() - begin:.1f} s; {self.spent:.0f} s in all]", flush=True)

    def has_time(self, name: str) -> bool:
        """Whether the budget allows another section; one that it does not is kept as such."""
        if self.spent < self.budget:
            return True
        self.log.append({"section": name, "seconds": 0.0, "status": f"not begun: {self.budget:.0f} s were over"})
        print(f"\n[{name}: not begun, the {self.budget:.0f} s are over]", flush=True)
        return False

    def run(self, name: str, work: Callable[[], Any]) -> Any:
        """What `work` gives; None where it failed or there was no time."""
        found = None
        if self.has_time(name):
            with self.section(name):
                found = work()
        return found

    @property
    def failed(self) -> bool:
        return any(entry["status"].startswith("failed") for entry in self.log)
