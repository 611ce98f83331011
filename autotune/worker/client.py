"""The study's end of the pipe: start a worker, call it, notice when it dies or hangs, start another."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from autotune.samples import Arm, UnitResult
from autotune.worker.child import main
from autotune.worker.protocol import (
    RUNS_A_VISIT,
    Crashed,
    Hung,
    Opened,
    Opening,
    OutOfMemory,
    Recording,
    Refused,
    Reply,
)

PROBLEMS = {Reply.REFUSED: Refused, Reply.OUT_OF_MEMORY: OutOfMemory, Reply.CRASHED: Crashed}


class Worker:
    """A worker process, started on the first call and again after every death. `starts` counts processes.

    Waiting blocks on the pipe, so the parent takes no processor time from what it measures.
    """

    def __init__(self, opening: Opening | Recording, *, call_limit: float, load_limit: float) -> None:
        self._opening = opening
        self._call_limit, self._load_limit = call_limit, load_limit
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None
        self.starts = 0
        self.load_seconds = 0.0

    def begin(self) -> None:
        """Start the process without waiting for it, so that the parent can do other things while it loads."""
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=main, args=(theirs, self._opening), name="autotune-worker", daemon=True)
        self._process.start()
        theirs.close()
        self.starts += 1
        self._began = time.perf_counter()

    def open(self) -> Opened:
        """Wait until the weights are there."""
        if self._process is None:
            self.begin()
        opened = self._receive(self._load_limit, "loading the model")
        self.load_seconds = time.perf_counter() - self._began
        return opened

    def prepare(self, arms: Sequence[Arm], split: str, concurrency: int | None = None) -> list[str]:
        """Returns what the engine warned of so far."""
        further = {} if concurrency is None else {"concurrency": concurrency}
        return self._call("prepare", arms=list(arms), split=split, **further) or []

    def measure(
        self,
        unit: str,
        split: str,
        indices: Sequence[int],
        repeat: int,
        order: Sequence[str],
        arrivals: Sequence[float] = (),
    ) -> UnitResult:
        """A window in which requests arrive by themselves takes as long as it takes, besides the call's limit."""
        spent = RUNS_A_VISIT * len(order) * max(arrivals, default=0.0)
        return self._call(
            "measure",
            limit=self._call_limit + spent,
            unit=unit,
            split=split,
            indices=list(indices),
            repeat=repeat,
            order=list(order),
            arrivals=list(arrivals),
        )

    def close(self) -> None:
        """End the process, whatever it does."""
        if self._pipe is not None:
            self._pipe.close()
        if self._process is not None:
            self._process.join(timeout=1.0)
            if self._process.is_alive():
                self._process.kill()
                self._process.join()
        self._process = self._pipe = None

    def _call(self, name: str, limit: float | None = None, **arguments: Any) -> Any:
        if self._process is None:
            self.open()
        assert self._pipe is not None
        try:
            self._pipe.send((name, arguments))
        except OSError:
            raise Crashed(self._obituary()) from None
        return self._receive(limit or self._call_limit, f"the call {name!r}")

    def _receive(self, limit: float, what: str) -> Any:
        assert self._pipe is not None
        try:
            if not self._pipe.poll(limit):
                self._kill()
                raise Hung(f"{what} gave no answer in {limit:g} s")
            kind, value = self._pipe.recv()
        except (EOFError, OSError):
            raise Crashed(self._obituary()) from None
        if kind is not Reply.OK:
            if kind is not Reply.REFUSED:  # its state can no longer be trusted
                self.close()
            raise PROBLEMS[kind](value)
        return value

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()
        self.close()

    def _obituary(self) -> str:
        """What the process's end tells, once the pipe has broken."""
        assert self._process is not None
        self._process.join(timeout=5.0)
        code = self._process.exitcode
        self.close()
        if code is None:
            return "the worker closed its pipe and did not end"
        if code >= 0:
            return f"the worker ended with status {code}"
        name = signal.Signals(-code).name
        hint = " (the system's out-of-memory killer uses it)" if name == "SIGKILL" else ""
        return f"the worker was ended by {name}{hint}"
