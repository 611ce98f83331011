"""The database behind a study: its URL, its driver, its sessions, and what to do while it does not answer."""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any, TypeVar

import optuna
import sqlalchemy
from sqlalchemy import URL, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from autotune.errors import RunError, UsageError
from autotune.settings import StudySettings
from autotune.study.naming import is_shared, without_password

T = TypeVar("T")

DRIVERS = {
    "postgresql": {"psycopg": "psycopg[binary]", "psycopg2": "psycopg2-binary"},
    "mysql": {"pymysql": "PyMySQL", "MySQLdb": "mysqlclient"},
}
"""By kind of database: the modules that speak to it, the preferred first, and the packages that have them."""
DIALECTS = {"MySQLdb": "mysqldb"}
OPENING = 0x5EC70  # any number, the same for all
AWAY = (optuna.exceptions.StorageInternalError, SQLAlchemyError)


def open_storage(url: str, settings: StudySettings) -> optuna.storages.RDBStorage:
    """UsageError where there is no such database, or no driver for it."""
    try:
        return _shared_storage(with_driver(url), settings) if is_shared(url) else optuna.storages.RDBStorage(url)
    except (*AWAY, ImportError, ValueError, OSError) as error:
        reason = without_password(str(error.__cause__ or error).splitlines()[0])
        raise UsageError(
            f"study.storage is {without_password(url)!r}, which cannot be opened ({reason}); it must be a database URL "
            "such as sqlite:///study.db or postgresql://user@host/database"
        ) from error


def with_driver(url: str) -> URL:
    """The URL with the driver that is installed, where it names none; UsageError naming the package to install."""
    parsed = make_url(url)
    modules = DRIVERS.get(parsed.get_backend_name(), {})
    if "+" not in parsed.drivername and modules:
        found = next((module for module in modules if find_spec(module)), next(iter(modules)))
        parsed = parsed.set(drivername=f"{parsed.drivername}+{DIALECTS.get(found, found)}")
    try:
        parsed.get_dialect().import_dbapi()
    except ModuleNotFoundError as error:
        package = modules.get(str(error.name), error.name)
        raise UsageError(
            f"study.storage is {without_password(url)!r}, whose driver is not installed; pip install '{package}'"
        ) from error
    return parsed


def _shared_storage(url: URL, settings: StudySettings) -> optuna.storages.RDBStorage:
    postgres = url.get_backend_name() == "postgresql"
    text = url.render_as_string(hide_password=False)
    options: dict[str, Any] = {"pool_pre_ping": True}
    if postgres and "connect_timeout" not in url.query:
        options["connect_args"] = {"connect_timeout": 10}
    with warnings.catch_warnings(), _alone(url, options) if postgres else contextlib.nullcontext():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        storage = optuna.storages.RDBStorage(
            text,
            engine_kwargs=options,
            heartbeat_interval=settings.heartbeat_interval,
            grace_period=settings.grace_period,
        )
    if postgres:
        _prepare_sessions(storage, settings)
    return storage


@contextlib.contextmanager
def _alone(url: URL, options: dict[str, Any]) -> Iterator[None]:
    """Workers that start together must not create the tables together."""
    engine = sqlalchemy.create_engine(url, **options)
    try:
        with engine.begin() as connection:
            connection.execute(sqlalchemy.text(f"SELECT pg_advisory_xact_lock({OPENING})"))
            yield
    finally:
        engine.dispose()


def _prepare_sessions(storage: optuna.storages.RDBStorage, settings: StudySettings) -> None:
    """All machines read the server's clock in one time zone; and what a stopped process has locked is let go."""
    patience = 1000 * settings.grace_period

    def prepare(connection: Any, _: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET TIME ZONE 'UTC'")
            cursor.execute(f"SET idle_in_transaction_session_timeout = {patience}")
        connection.commit()

    event.listen(storage.engine, "connect", prepare)
    storage.engine.dispose()  # connections of before


def patiently(call: Callable[[], T], limit: float, say: Callable[[str], None]) -> T:
    """The call's value, tried again for `limit` seconds while the database does not answer; then RunError."""
    began, pause = time.monotonic(), 0.2
    while True:
        try:
            return call()
        except AWAY as error:
            reason = without_password(str(error.__cause__ or error).splitlines()[0])
            if time.monotonic() - began > limit:
                raise RunError(
                    f"the study's database has not answered for {limit:g} s ({reason}); repeat the command to go on"
                ) from error
            if pause < 0.3:
                say(f"the study's database does not answer ({reason}); trying again")
        time.sleep(pause)
        pause = min(2 * pause, 5.0)
