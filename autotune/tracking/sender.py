"""Send a journal to MLflow. Sending an event twice does no harm: runs are found again by their key."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from autotune.tracking.journal import Event, Journal

KEY_TAG = "spectune.key"
PARAM_LIMIT, PARAM_BATCH, METRIC_BATCH, TAG_LIMIT = 6000, 100, 1000, 8000


class Unreachable(Exception):
    """The tracking server did not answer, or refused; the journal keeps what was not sent."""


class Sender:
    """A client for one address and experiment. Creating it may raise Unreachable, and so may every send."""

    def __init__(self, uri: str, experiment: str, timeout: float) -> None:
        check_reachable(uri, timeout)
        self._runs: dict[str, str] = {}
        self._uri = uri
        try:
            self._client = _client(uri, timeout)
            self._experiment = self._experiment_id(experiment)
        except Exception as error:
            raise Unreachable(f"{uri} does not take records ({first_line(error)})") from error

    def send(self, journal: Journal) -> None:
        """Everything that waits in the journal."""
        for number, event in list(journal.unsent()):
            try:
                getattr(self, f"_do_{event['do']}")(event)
            except Exception as error:
                raise Unreachable(f"sending a record failed ({first_line(error)})") from error
            journal.mark(number)

    def _experiment_id(self, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        return found.experiment_id if found else self._client.create_experiment(name, artifact_location(self._uri))

    def _do_start(self, event: Event) -> None:
        run_id = self._find(event["key"])
        if run_id is not None:
            self._client.update_run(run_id, status="RUNNING")
            return
        tags = {KEY_TAG: event["key"], **{name: str(value)[:TAG_LIMIT] for name, value in event["tags"].items()}}
        if event.get("parent"):
            tags["mlflow.parentRunId"] = self._run(event["parent"])
        run = self._client.create_run(self._experiment, start_time=event["time"], tags=tags, run_name=event["name"])
        self._runs[event["key"]] = run.info.run_id

    def _do_params(self, event: Event) -> None:
        from mlflow.entities import Param

        params = [Param(key, str(value)[:PARAM_LIMIT]) for key, value in event["params"].items()]
        for part in batches(params, PARAM_BATCH):
            self._client.log_batch(self._run(event["key"]), params=part)

    def _do_metrics(self, event: Event) -> None:
        from mlflow.entities import Metric

        metrics = [Metric(name, value, event["time"], step) for name, value, step in event["metrics"]]
        for part in batches(metrics, METRIC_BATCH):
            self._client.log_batch(self._run(event["key"]), metrics=part)

    def _do_tags(self, event: Event) -> None:
        for name, value in event["tags"].items():
            self._client.set_tag(self._run(event["key"]), name, str(value)[:TAG_LIMIT])

    def _do_artifact(self, event: Event) -> None:
        """A file that has gone since is left out: its run folder was deleted by its owner."""
        if Path(event["path"]).is_file():
            self._client.log_artifact(self._run(event["key"]), event["path"], event.get("folder"))

    def _do_end(self, event: Event) -> None:
        self._client.set_terminated(self._run(event["key"]), status=event["status"], end_time=event["time"])

    def _run(self, key: str) -> str:
        run_id = self._find(key)
        if run_id is None:
            raise KeyError(f"no run with the key {key}")
        return run_id

    def _find(self, key: str) -> str | None:
        if key not in self._runs:
            found = self._client.search_runs([self._experiment], f"tags.`{KEY_TAG}` = '{key}'", max_results=1)
            if not found:
                return None
            self._runs[key] = found[0].info.run_id
        return self._runs[key]


def check_reachable(uri: str, timeout: float) -> None:
    """Raise Unreachable at once where no server listens, instead of waiting through MLflow's retries."""
    address = urlparse(uri)
    if address.scheme not in ("http", "https"):
        return
    port = address.port or (443 if address.scheme == "https" else 80)
    try:
        socket.create_connection((address.hostname or "", port), timeout=timeout).close()
    except OSError as error:
        raise Unreachable(f"{uri} does not answer ({error})") from error


def _client(uri: str, timeout: float) -> Any:
    """MLflow reads its limits from the environment; they hold for this process only."""
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", str(max(1, round(timeout))))
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    from mlflow.tracking import MlflowClient

    for name in ("alembic", "mlflow", "mlflow.store.db.utils"):
        logging.getLogger(name).setLevel(logging.ERROR)
    return MlflowClient(tracking_uri=uri)


def artifact_location(uri: str) -> str | None:
    """Files go beside a database file; a server has its own place."""
    file = uri.removeprefix("sqlite:///")
    return None if file == uri else (Path(file).absolute().parent / "mlartifacts").as_uri()


def batches(items: list[Any], size: int) -> Iterable[list[Any]]:
    return (items[begin : begin + size] for begin in range(0, len(items), size))


def first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
