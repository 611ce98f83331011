"""The sources: one file in `workloads/sources/` each, found by its name; nothing here lists them.

A source module has `OPTIONS`, a dict from option name to default, `SPLITS`, the splits that it can serve, and
`examples(split, seed, options) -> Iterator[Example]`, the same examples for the same arguments. A source
whose examples come to an end says `FINITE = True`.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from difflib import get_close_matches
from types import ModuleType
from typing import Any

from workloads import sources
from workloads.errors import WorkloadError


def available() -> tuple[str, ...]:
    """The names that `source` may take."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(sources.__path__)))


def find(name: str) -> ModuleType:
    """The module of a source; WorkloadError if there is none of that name."""
    if name not in available():
        raise WorkloadError(f"unknown workload source {name!r}; {suggestion(name, available())}")
    return importlib.import_module(f"{sources.__name__}.{name}")


def checked_options(name: str, source: ModuleType, given: Mapping[str, Any]) -> dict[str, Any]:
    """The source's defaults with what was given; WorkloadError for an option that the source does not have."""
    for key in given:
        if key not in source.OPTIONS:
            raise WorkloadError(
                f"workload source {name} has no option {key!r}; {suggestion(key, tuple(source.OPTIONS))}"
            )
    return {**source.OPTIONS, **given}


def suggestion(wrong: str, allowed: tuple[str, ...]) -> str:
    near = get_close_matches(str(wrong), allowed, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"{hint}allowed: {', '.join(allowed) or 'none'}"
