"""A process of an engine besides rank 0: loads its part, makes rank 0's calls, ends when rank 0 is gone.

python -m engine.parallel.follower FD      # FD: its end of the pipe, inherited
"""

import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any

import torch

from engine import Engine
from engine.errors import EngineError, OutOfMemoryError
from engine.loading import resolve_device
from engine.parallel.group import Disconnected, Group, device_of, open_store
from engine.parallel.messages import Answer, Call, Kind, Opening, is_refusal
from engine.parallel.part import Part

QUIET = {"log_stats_interval": None, "metrics_port": None}


def main(pipe: Connection) -> None:
    """Ctrl-C is rank 0's business."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warnings.simplefilter("ignore")  # rank 0 says the same
    pipe.send(Answer("done"))
    opening = pipe.recv()
    calls: SimpleQueue[Call] = SimpleQueue()
    threading.Thread(target=_listen, args=(pipe, calls), daemon=True).start()
    engine = _answered(pipe, partial(_load, opening), is_last=True)
    while True:
        call = calls.get()
        if call.is_answered:
            _answered(pipe, partial(_make, engine, call))
        else:
            _unanswered(pipe, partial(_make, engine, call))


def _load(opening: Opening) -> Engine:
    rank, size, port, wishes = opening
    device = device_of(rank, size, resolve_device(wishes["device"]))
    group = Group(open_store(size, port), rank, size, device)
    return Engine.load(**wishes | QUIET, shard=Part(group))


def _make(engine: Engine, call: Call) -> None:
    if call.progress != engine.progress:
        raise RuntimeError(f"its requests are not where rank 0's are before {call.name}: the processes differ")
    getattr(engine, call.name)(*call.arguments)


def _listen(pipe: Connection, calls: "SimpleQueue[Call]") -> None:
    """Pass calls on; a closed pipe is the end of rank 0, whatever this process waits for."""
    try:
        while True:
            calls.put(pipe.recv())
    except (EOFError, OSError):
        os._exit(0)
    except Exception as error:  # what was sent cannot be read here
        pipe.send(Answer("failed", _line(error)))
        _leave()


def _answered(pipe: Connection, act: Callable[[], Any], is_last: bool = False) -> Any:
    """Do it and say so. A refusal is an answer too, and the last one where nothing was loaded."""
    try:
        done = _unanswered(pipe, act)
    except EngineError as error:
        pipe.send(Answer("refused", str(error)))
        if is_last:
            _leave()
        return None
    pipe.send(Answer("done"))
    return done


def _unanswered(pipe: Connection, act: Callable[[], Any]) -> Any:
    """Do it; a failure is told, and ends the process, so that nobody waits for it in an exchange."""
    try:
        return act()
    except Exception as error:
        if is_refusal(error):
            raise
        pipe.send(Answer(_kind(error), _line(error)))
        _leave()


def _kind(error: Exception) -> Kind:
    if isinstance(error, OutOfMemoryError | MemoryError | torch.OutOfMemoryError):
        return "memory"
    return "disconnected" if isinstance(error, Disconnected) else "failed"


def _line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, EngineError) else f"{type(error).__name__}: {text}"


def _leave() -> None:
    """At once: what else runs here may wait for others."""
    sys.stderr.flush()
    os._exit(1)


if __name__ == "__main__":
    main(Connection(int(sys.argv[1])))
