"""The other processes of an engine, as rank 0 sees them: started, told what to do, watched, ended."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any, NamedTuple, NoReturn

from engine.errors import EngineError, OutOfMemoryError
from engine.parallel.group import Disconnected, Group
from engine.parallel.messages import Answer, Call, Kind, Opening, is_refusal

# Seconds: in which the reason of a broken exchange is told, in which a process leaves by itself, between two looks.
NEWS, LEAVE, LOOK = 3.0, 5.0, 0.5
# What is told of several failures is the first of these kinds: who merely lost a partner comes last.
GRAVITY: tuple[Kind, ...] = ("memory", "failed", "refused", "disconnected")


class Follower(NamedTuple):
    rank: int
    process: "subprocess.Popen[bytes]"
    pipe: Connection


class Followers:
    """Ranks 1 to size - 1. The first failure ends all of them; from then on every call raises its reason."""

    def __init__(self, size: int):
        self._size = size
        self._all = [_start(rank) for rank in range(1, size)]
        self._answers: dict[int, Answer] = {}  # the last of each
        self._end: EngineError | None = None
        self._closed, self._is_lost = threading.Event(), threading.Event()
        self._group: Group | None = None

    def open(self, wishes: Mapping[str, Any], port: int) -> None:
        """Tell what to load and where to meet, once all have come to life."""
        self._expect("done")
        for rank, _, pipe in self._all:
            pipe.send(Opening(rank, self._size, port, dict(wishes)))

    def watch(self, group: Group) -> None:
        """Let rank 0 out of an exchange with a process that has ended."""
        self._group = group
        threading.Thread(target=self._watch, args=(group,), name="watch-followers", daemon=True).start()

    @contextmanager
    def loading(self) -> Iterator[None]:
        """Around what rank 0 does to load what they load. Whatever fails is the end."""
        try:
            yield
            self._expect("done")
        except BaseException as error:
            self._raise_reason(error)

    @contextmanager
    def told(self, call: Call) -> Iterator[None]:
        """Around what rank 0 does of the same call. A refusal is all ranks' and leaves them as they were."""
        self.refuse_if_ended()
        try:
            for follower in self._all:
                follower.pipe.send(call)
            yield
            if self._is_lost.is_set():  # what came of an exchange that was broken off is nothing
                raise Disconnected("a process of this engine has ended")
            if call.is_answered:
                self._expect("done")
        except BaseException as error:
            if call.is_answered and is_refusal(error) and self._have_refused():
                raise
            self._raise_reason(error)

    def refuse_if_ended(self) -> None:
        """Raise the reason of the end, if it has come."""
        if self._end is not None:
            raise self._end

    def close(self) -> None:
        """End them all; more than once does no harm."""
        self._end = self._end or EngineError("this engine was closed: load the model anew")
        self._closed.set()
        for follower in self._all:
            follower.pipe.close()
        for follower in self._all:
            _end(follower.process)
        if self._group is not None:
            self._group.close()

    def _expect(self, kind: Kind) -> None:
        """Wait for an answer of every follower; Disconnected unless all are of this kind."""
        for rank, _, pipe in self._all:
            self._answers[rank] = pipe.recv()
        if any(answer.kind != kind for answer in self._answers.values()):
            raise Disconnected("the processes of this engine do not agree")

    def _have_refused(self) -> bool:
        try:
            self._expect("refused")
        except (EOFError, OSError, Disconnected):
            return False
        return True

    def _raise_reason(self, error: BaseException) -> NoReturn:
        """End everything, because of a follower's failure where that is what rank 0 met with, else of `error`."""
        is_lost = isinstance(error, Disconnected | EOFError | OSError)
        reason = (self._told_by_followers() if is_lost else None) or error
        text = str(reason) if isinstance(reason, EngineError) else f"{type(reason).__name__} {reason}".strip()
        self._end = EngineError(f"this engine has ended, load the model anew: {text}")
        self.close()
        if reason is error and not isinstance(error, EOFError | OSError):
            raise error
        raise (self._end if reason is error else reason) from error

    def _told_by_followers(self) -> EngineError | None:
        """Their gravest failure, waiting for it a moment."""
        until = time.monotonic() + NEWS
        failures: list[tuple[int, int, str]] = []
        for rank, process, pipe in self._all:
            answer = _last(pipe, until) or self._answers.get(rank)
            if answer is None or answer.kind == "done":
                with suppress(subprocess.TimeoutExpired):
                    answer = Answer("failed", _obituary(process.wait(max(until - time.monotonic(), 0.0))))
            if answer is not None and answer.kind in GRAVITY:
                failures.append((GRAVITY.index(answer.kind), rank, answer.text))
        if not failures:
            return None
        kind, rank, text = min(failures)
        error = OutOfMemoryError if GRAVITY[kind] == "memory" else EngineError
        return error(f"rank {rank} of {self._size} (tensor parallel): {text}")

    def _watch(self, group: Group) -> None:
        while not self._closed.wait(LOOK):
            if any(follower.process.poll() is not None for follower in self._all):
                self._is_lost.set()
                group.abort()
                return


def _start(rank: int) -> Follower:
    ours, theirs = Pipe()
    command = [sys.executable, "-m", "engine.parallel.follower", str(theirs.fileno())]
    paths = os.pathsep.join(path or os.getcwd() for path in sys.path)
    process = subprocess.Popen(
        command, pass_fds=[theirs.fileno()], env=os.environ | {"PYTHONPATH": paths}, stdin=subprocess.DEVNULL
    )
    theirs.close()
    return Follower(rank, process, ours)


def _last(pipe: Connection, until: float) -> Answer | None:
    """The last answer in a pipe whose other end is leaving."""
    answer = None
    with suppress(EOFError, OSError):
        while pipe.poll(max(until - time.monotonic(), 0.0)):
            answer = pipe.recv()
    return answer


def _obituary(code: int) -> str:
    if code >= 0:
        return f"ended with status {code}"
    name = signal.Signals(-code).name
    return f"ended by {name}" + (" (the system's out-of-memory killer uses it)" if name == "SIGKILL" else "")


def _end(process: "subprocess.Popen[bytes]") -> None:
    try:
        process.wait(LEAVE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
