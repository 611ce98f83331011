"""Spec-Bench's question file (JSON lines with question_id, category, turns); the first turn of each question."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from workloads.errors import WorkloadError
from workloads.files import halves, rows
from workloads.request import Example, Split
from workloads.sources.jsonl import prompt_of

SPLITS = ("search", "confirm")
FINITE = True
OPTIONS: dict[str, Any] = {"path": None, "category": None}  # category: one of the file's, or null for all


def examples(split: Split, seed: int, options: Mapping[str, Any]) -> Iterator[Example]:
    """Half of the (chosen category's) questions for each split."""
    found = rows(options["path"], "spec_bench")
    for where, row in found:
        if "category" not in row or "turns" not in row:
            raise WorkloadError(f"{where}: not a Spec-Bench question; it needs the fields question_id, category, turns")
    chosen = of_category(found, options["category"])
    for where, row in halves(chosen, split, seed):
        reference = row.get("reference") or [None]
        yield Example(prompt_of(row, where, chat=True), reference[0], tags={"category": str(row["category"])})


def of_category(found: list[tuple[str, dict[str, Any]]], category: str | None) -> list[tuple[str, dict[str, Any]]]:
    known = sorted({str(row["category"]) for _, row in found})
    if category is None:
        return found
    if category not in known:
        raise WorkloadError(f"unknown Spec-Bench category {category!r}; allowed: {', '.join(known)}")
    return [(where, row) for where, row in found if row["category"] == category]
