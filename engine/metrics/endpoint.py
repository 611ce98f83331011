"""Prometheus metrics over HTTP. Engines of one process that ask for the same port share it, told apart by `engine`."""

import socket
from collections.abc import Callable
from threading import Lock
from weakref import WeakMethod

from prometheus_client import start_http_server
from prometheus_client.registry import CollectorRegistry

from engine.errors import ConfigError
from engine.metrics.families import ReadingsCollector
from engine.metrics.totals import Reading

Read = Callable[[str], Reading]
"""A method of an engine: from the value of the label `engine` to what is told of it."""

_open: dict[tuple[str, int], "Endpoint"] = {}


class Endpoint:
    """Serves in a thread of its own until the last member has left. A member that is garbage is no longer told of."""

    def __init__(self, host: str, port: int):
        self._asked, self._members, self._lock = (host, port), dict[int, WeakMethod[Read]](), Lock()
        registry = CollectorRegistry()
        registry.register(ReadingsCollector(self._readings))
        try:
            self._server, self._thread = start_http_server(port, host, registry)
        except OSError as error:
            raise refusal(host, port, error) from error
        self.host, self.port = host, int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}/metrics"

    def join(self, read: Read) -> int:
        """The number of a new member: the lowest that is free."""
        with self._lock:
            self._members = {number: member for number, member in self._members.items() if member() is not None}
            number = next(i for i in range(len(self._members) + 1) if i not in self._members)
            self._members[number] = WeakMethod(read)
            return number

    def leave(self, number: int) -> None:
        """Take a member out; the last one closes the port. Nothing happens for one that is not there."""
        with self._lock:
            gone = self._members.pop(number, None) is not None
            empty = gone and not self._members
        if empty:
            _open.pop(self._asked, None)
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()

    def _readings(self) -> list[Reading]:
        with self._lock:
            members = [(number, member()) for number, member in sorted(self._members.items())]
        return [read(str(number)) for number, read in members if read is not None]


def endpoint(port: int, host: str) -> Endpoint:
    """The endpoint that was asked for as `port` before, or a new one. Port 0 is any free one."""
    found = _open.get((host, port))
    if found is None:
        found = _open[host, port] = Endpoint(host, port)
    return found


def check_port(port: object, host: object) -> None:
    """ConfigError for what is no port or address, or is in use by others."""
    if not isinstance(host, str):
        raise ConfigError(f"metrics_host={host!r} is not allowed: the address to serve on, as text")
    if isinstance(port, bool) or not isinstance(port, int) or not 0 <= port <= 65535:
        raise ConfigError(f"metrics_port={port!r} is not allowed: 0 (any free port) to 65535, or null for none")
    if (host, port) in _open:
        return
    try:
        with socket.create_server((host, port)):
            return
    except OSError as error:
        raise refusal(host, port, error) from error


def refusal(host: str, port: int, error: OSError) -> ConfigError:
    return ConfigError(f"metrics_port={port} cannot be served on {host} ({error.strerror}): another one, or 0 for any")
