"""A file of arrival times, one request a line: JSON objects, a table with a header (CSV), or bare times.

A time is a number of seconds, or a date with a time of day as logs have it (ISO 8601). Errors name file and line.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from workloads.errors import WorkloadError
from workloads.files import parsed, text_of

FIELDS = ("timestamp", "arrival", "arrival_time")
Entry = tuple[int, Any]  # number of the line, what stands for the time there


def read_trace(path: str | None) -> tuple[float, ...]:
    """The times of a trace, ascending, in seconds."""
    if not path:
        raise WorkloadError(
            "load.path is null; give a file of arrival times (JSON lines or CSV with a column timestamp, or a number a "
            "line): load.path=FILE"
        )
    lines = [(n, line) for n, line in enumerate(text_of(Path(path)).split("\n"), 1) if line.strip()]
    if not lines:
        raise WorkloadError(f"{path} is empty; it needs at least one arrival, one a line")
    times: list[float] = []
    for number, value in _entries(lines, path):
        time = _seconds(value, f"{path}, line {number}")
        if times and time < times[-1]:
            raise WorkloadError(
                f"{path}, line {number}: {value} lies before the arrival above it; sort the file by time"
            )
        times.append(time)
    if not times:
        raise WorkloadError(f"{path} has a header and no arrival; it needs at least one, one a line")
    return tuple(times)


def _entries(lines: list[tuple[int, str]], path: str) -> Iterator[Entry]:
    """What stands for the time on every line; the first line says which kind of file it is."""
    first = lines[0][1].strip()
    if first.startswith("{"):
        return _of_objects(lines, path)
    return _of_table(lines, path) if _name_in(_cells(first)) or _number(first) is None else iter(lines)


def _of_objects(lines: list[tuple[int, str]], path: str) -> Iterator[Entry]:
    for number, line in lines:
        where, row = parsed(line, f"{path}, line {number}")
        name = _name_in(list(row))
        if name is None:
            raise WorkloadError(f"{where}: no field {' or '.join(FIELDS)} among {', '.join(row) or 'none'}")
        yield number, row[name]


def _of_table(lines: list[tuple[int, str]], path: str) -> Iterator[Entry]:
    number, header = lines[0]
    names = _cells(header)
    name = _name_in(names)
    if name is None:
        raise WorkloadError(
            f"{path}, line {number}: {header.strip()[:60]!r} is no time and no header with a column "
            f"{' or '.join(FIELDS)}; write JSON lines, CSV with such a header, or a number a line"
        )
    column = names.index(name)
    for number, line in lines[1:]:
        cells = _cells(line)
        if len(cells) <= column:
            raise WorkloadError(f"{path}, line {number}: {len(cells)} columns, but {name} is column {column + 1}")
        yield number, cells[column]


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in next(csv.reader([line.strip()]), [])]


def _name_in(names: list[str]) -> str | None:
    """The name that a file has for its times, in whatever case."""
    return next((name for wanted in FIELDS for name in names if name.lower() == wanted), None)


def _seconds(value: Any, where: str) -> float:
    found = _number(value)
    if found is None:
        shown = json.dumps(value.strip() if isinstance(value, str) else value)[:40]
        raise WorkloadError(f"{where}: {shown} is no time; it must be a number of seconds or a date with a time of day")
    return found


def _number(value: Any) -> float | None:
    """Seconds, or None for what is no time. A date without a zone is taken as UTC, where no hour is skipped."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    except ValueError:
        return _date(str(value).strip())
    return found if math.isfinite(found) else None


def _date(text: str) -> float | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
