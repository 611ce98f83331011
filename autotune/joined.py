"""The result of a study that another worker concluded: as a record in the study's database, and back from there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from autotune.result import Result


def record_of(result: Result, worker: str) -> dict[str, Any]:
    return json.loads(json.dumps({**asdict(result), "worker": worker}, default=str))


def result_from(record: Mapping[str, Any], outputs: str) -> Result:
    """The other's result, for a folder of ours."""
    fields = {name: value for name, value in record.items() if name != "worker"}
    interval = record["interval"]
    result = Result(**{**fields, "interval": tuple(interval) if interval else None})
    note = f"The winner was confirmed by the worker {record['worker']}; its samples are in its folder {result.outputs}."
    notes = [*result.details.get("notes", ()), note]
    return replace(result, outputs=outputs, details={**result.details, "notes": notes})
