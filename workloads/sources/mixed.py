"""Every generated task and code, in turn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib import import_module
from typing import Any

from workloads.request import SPLITS as SPLITS
from workloads.request import Example, Split

OPTIONS: dict[str, Any] = {}
TASKS = ("summarization", "chat", "qa", "math", "translation", "rag", "code")


def examples(split: Split, seed: int, options: Mapping[str, Any]) -> Iterator[Example]:
    """One example of each task after the other; ends with the shortest task."""
    streams = [import_module(f"workloads.sources.{task}").examples(split, seed, {}) for task in TASKS]
    for turn in zip(*streams, strict=False):
        for task, found in zip(TASKS, turn, strict=True):
            yield replace(found, tags={**found.tags, "task": task})
