"""The answer as a person reads it, and as one JSON object."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from autotune.overrides import override
from autotune.recommend.choose import Answer, Question, Suggestion
from autotune.recommend.reasons import gib, span
from autotune.result import SCHEMA, rounded

COLUMNS = (("", "right"), ("method", "left"), ("expected", "left"), ("memory", "right"), ("begin with", "left"))
NATIVE = "This engine does not run {}; what is exported is for vLLM."


def show(console: Console, asked: Question, found: Answer) -> None:
    console.print(Text(_asked(asked)), soft_wrap=True)
    console.print(_table(found))
    for place, each in enumerate(found.ranked, 1):
        console.print(Text(f"{place}. {each.method}", style="bold"))
        for reason in each.reasons:
            console.print(Text(f"   - {reason}"), soft_wrap=True)
        console.print(Text(f"   {each.command}\n"), soft_wrap=True)
    for name, why in found.without.items():
        console.print(Text(f"Not {name}: {why}", style="dim"), soft_wrap=True)
    for line in notes(asked, found):
        console.print(Text(line), soft_wrap=True)


def notes(asked: Question, found: Answer) -> list[str]:
    """What holds for the answer as a whole."""
    said = ["These figures are of other models and machines; only a measurement is yours."]
    if asked.target is not None and not _runs(asked.target.architecture):
        said.append(NATIVE.format(asked.target.architecture))
    if asked.target is None and not asked.settings.replays:
        said.append(f"Nothing here tells the size of {asked.settings.model.path}, so memory was not estimated.")
    if found.ranked and not any(each.fits for each in found.ranked):
        said.append("Nothing fits: lower recommend.context_tokens or the load, quantize, or use more memory.")
    if found.ranked and found.ranked[0].middle < 1:
        said.append("No gain is expected of any method at this load; serve without speculation, or with few requests.")
    if found.compare:
        said.append(f"What is expected of the first overlaps with others; measure them together:\n   {found.compare}")
    return said


def line(asked: Question, found: Answer) -> dict[str, Any]:
    """The object of the last line."""
    return {
        "schema": SCHEMA,
        "command": "recommend",
        "model": asked.settings.model.name,
        "architecture": asked.target.architecture if asked.target else None,
        "workload": asked.settings.workload.name,
        "text": asked.text,
        "requests": asked.requests,
        "memory_gib": asked.guide.memory_gib,
        "target_speedup": asked.guide.target_speedup,
        "methods": [_entry(each, place, asked) for place, each in enumerate(found.ranked, 1)],
        "without": found.without,
        "compare": found.compare or None,
    }


def _entry(each: Suggestion, place: int, asked: Question) -> dict[str, Any]:
    wanted = asked.guide.target_speedup
    return {
        "rank": place,
        "method": each.method,
        "expected_speedup": [rounded(value) for value in each.expected],
        "reaches_target": None if wanted is None else each.expected[0] >= wanted,
        "memory_gib": rounded(each.memory.total) if each.memory else None,
        "fits": each.fits,
        "parameters": each.start,
        "reasons": list(each.reasons),
        "source": each.rule.source,
        "command": each.command,
    }


def _asked(asked: Question) -> str:
    requests = "one request at a time" if asked.requests == 1 else f"{asked.requests} requests at once"
    return f"{asked.settings.model.name}, {asked.settings.workload.name} ({asked.text} text), {requests}\n"


def _table(found: Answer) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for title, side in COLUMNS:
        table.add_column(title, justify=side)  # type: ignore[arg-type]
    for place, each in enumerate(found.ranked, 1):
        start = "  ".join(override(key, value) for key, value in each.start.items())
        memory = "–" if each.memory is None else gib(each.memory.total) + ("" if each.fits else " too much")
        table.add_row(str(place), each.method, span(each.expected), memory, start)
    table.add_row()
    return table


def _runs(architecture: str) -> bool:
    from engine.models.config import FAMILIES

    return architecture in FAMILIES
