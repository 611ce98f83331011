"""Who is told of an engine: the totals behind everything, a log, an endpoint (its library is imported if asked for)."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from engine.metrics.interval import IntervalLogger, check_interval
from engine.metrics.totals import Reading, Totals
from engine.speculative_config import OutputLaw

if TYPE_CHECKING:
    from engine.metrics.endpoint import Endpoint

LOCAL = "127.0.0.1"


class Watching:
    """Made before the weights are read, so that a wrong wish is refused at once; begun when the engine is there."""

    def __init__(
        self, log_stats_interval: float | None = None, metrics_port: int | None = None, metrics_host: str = LOCAL
    ):
        if log_stats_interval is not None:
            check_interval(log_stats_interval)
        if metrics_port is not None:
            from engine.metrics.endpoint import check_port

            check_port(metrics_port, metrics_host)
        self._interval, self._port, self._host = log_stats_interval, metrics_port, metrics_host
        self._log: IntervalLogger | None = None
        self._endpoint: tuple[Endpoint, int] | None = None
        self.totals = Totals()

    def begin(self, read: Callable[[str], Reading], now: float) -> None:
        """Log and serve as wished; `read` is the engine's method."""
        if self._interval is not None:
            self._log = IntervalLogger(self._interval, self.totals.spec, now)
        if self._port is not None:
            self.serve(read, self._port, self._host)

    def tick(self, now: float, num_running: int, num_waiting: int, law: OutputLaw) -> None:
        """A step has ended."""
        if self._log is not None:
            self._log.tick(now, num_running, num_waiting, law)

    def serve(self, read: Callable[[str], Reading], port: int, host: str) -> "Endpoint":
        from engine.metrics.endpoint import check_port, endpoint

        check_port(port, host)
        self.close()
        place = endpoint(port, host)
        self._endpoint = place, place.join(read)
        return place

    def close(self) -> None:
        """Leave the endpoint."""
        if self._endpoint is not None:
            place, number = self._endpoint
            self._endpoint = None
            place.leave(number)

    @property
    def facts(self) -> dict[str, str]:
        """Where metrics are served."""
        return {} if self._endpoint is None else {"metrics_url": self._endpoint[0].url}
