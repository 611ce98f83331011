"""The worker process: answer calls until the pipe closes. How a call failed is decided here, from the error's type."""

from __future__ import annotations

import logging
import signal
import sys
import traceback
from multiprocessing.connection import Connection
from typing import Any

from autotune.worker.protocol import Opening, Recording, Reply

PR_SET_PDEATHSIG = 1


def main(pipe: Connection, opening: Opening | Recording) -> None:
    """Open a session and serve it. Ctrl-C is the parent's business; a closed pipe means that the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _die_with_parent()
    _log_to_stderr()
    session: Any = None
    try:
        reply, session = _open(opening)
        pipe.send(reply)
        while session is not None:
            name, arguments = pipe.recv()
            pipe.send(_answer(lambda name=name, arguments=arguments: getattr(session, name)(**arguments)))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


def _die_with_parent() -> None:
    """Ask Linux to end this process when the study is killed, so that it disturbs nobody; elsewhere the pipe tells
    it.
    """
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _log_to_stderr() -> None:
    """What the engine logs, which is nothing unless it is asked to."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    engine = logging.getLogger("engine")
    engine.setLevel(logging.INFO)
    engine.addHandler(handler)


def _open(opening: Opening | Recording) -> tuple[tuple[Reply, Any], Any]:
    kind, value = _answer(lambda: _session(opening))
    return (kind, value.opened if kind is Reply.OK else value), value if kind is Reply.OK else None


def _session(opening: Opening | Recording) -> Any:
    if isinstance(opening, Recording):
        from autotune.worker.replay import ReplaySession

        return ReplaySession(opening)
    from autotune.worker.session import Session

    return Session(opening)


def _answer(call: Any) -> tuple[Reply, Any]:
    """The call's value, or which kind of failure it was."""
    try:
        return Reply.OK, call()
    except Exception as error:
        return _kind(error), _text(error)


def _kind(error: Exception) -> Reply:
    from autotune.errors import UsageError
    from engine.errors import ConfigError, OutOfMemoryError
    from workloads import WorkloadError

    torch = sys.modules.get("torch")
    memory = (OutOfMemoryError, MemoryError, *((torch.OutOfMemoryError,) if torch else ()))
    if isinstance(error, memory):
        return Reply.OUT_OF_MEMORY
    return Reply.REFUSED if isinstance(error, ConfigError | WorkloadError | UsageError) else Reply.CRASHED


def _text(error: Exception) -> str:
    """One line for the trial's record; the whole traceback goes to stderr only where it is a bug."""
    if _kind(error) is Reply.CRASHED:
        place = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__}: {error} ({place.filename.rpartition('/')[2]}:{place.lineno})".replace(
            "\n", " "
        )
    return str(error).replace("\n", " ")
