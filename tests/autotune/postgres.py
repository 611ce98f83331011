"""A PostgreSQL server for tests: one that SPECTUNE_POSTGRES names by its URL, or a throw-away one of this machine."""

from __future__ import annotations

import contextlib
import glob
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

GIVEN = "SPECTUNE_POSTGRES"


def missing() -> str:
    """Why there can be no server here; empty where there can."""
    try:
        import psycopg  # noqa: F401
    except ImportError:
        return "psycopg is not installed"
    if os.environ.get(GIVEN) or binaries():
        return ""
    return f"no PostgreSQL: neither pg_ctl on the PATH, nor /usr/lib/postgresql/*/bin, nor {GIVEN}=URL"


def binaries() -> Path | None:
    """The folder of initdb and pg_ctl."""
    folders = [*filter(None, [shutil.which("pg_ctl")]), *sorted(glob.glob("/usr/lib/postgresql/*/bin/pg_ctl"))]
    found = (Path(folder).resolve().parent for folder in folders)
    return next((folder for folder in found if (folder / "initdb").exists()), None)


class Server:
    """A running server; `can_stop` is false for one that is not ours."""

    def __init__(self, url: str, control: Callable[..., None] | None = None) -> None:
        self.url, self._control = url, control
        self.can_stop = control is not None

    def stop(self) -> None:
        """At once, as in a crash."""
        assert self._control is not None
        self._control("-m", "immediate", "stop")

    def start(self) -> None:
        assert self._control is not None
        self._control("start")


@contextlib.contextmanager
def server() -> Iterator[Server]:
    """A server with an empty database; a throw-away one ends, and is deleted, with the block."""
    if given := os.environ.get(GIVEN):
        yield Server(given)
        return
    programs, user = binaries(), _user()
    assert programs is not None
    folder = Path(tempfile.mkdtemp(prefix="spectune-postgres-"))
    if user is not None:
        os.chown(folder, pwd.getpwnam(user).pw_uid, -1)
    data, port = folder / "data", _free_port()
    options = f"-p {port} -h 127.0.0.1 -k {folder} -c fsync=off -c timezone=America/New_York"

    def control(*words: str) -> None:
        _run(user, programs / "pg_ctl", "-D", data, "-l", folder / "log", "-w", "-o", options, *words)

    made = Server(f"postgresql://tests@127.0.0.1:{port}/postgres", control)
    try:
        _run(user, programs / "initdb", "-D", data, "-U", "tests", "-A", "trust", "--no-sync")
        made.start()
        yield made
    finally:
        with contextlib.suppress(subprocess.CalledProcessError):
            made.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _run(user: str | None, *words: str | Path) -> None:
    subprocess.run(
        [str(word) for word in words],
        user=user,
        cwd="/",
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=120,
    )


def _user() -> str | None:
    """The server refuses root; it runs as somebody who owns nothing."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
