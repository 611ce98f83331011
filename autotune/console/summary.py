"""The last thing a person reads: what won, by how much, can it be trusted, where it is, what to do next."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from autotune.console import words
from autotune.console.front import front_table
from autotune.measurement import MEASURED
from autotune.metrics import BATCHES
from autotune.result import Result
from autotune.trees import shortened, tree_of

UNDER_LOAD = (
    ("time to first token, p95 (ms)", "ttft_ms", "p95", 2),
    ("of it in the queue, p95 (ms)", "queue_ms", "p95", 2),
    ("time to last token, p95 (ms)", "e2e_ms", "p95", 1),
    ("requests per second, offered", "offered_requests_per_s", None, 2),
    ("requests per second, served", "requests_per_s", None, 2),
    ("goodput (requests per second)", "goodput", None, 2),
    ("share within the limits", "slo_share", None, 3),
)


def print_summary(console: Console, result: Result, steps: list[str]) -> None:
    """`steps` are the next things to do, each a line."""
    console.print()
    console.print(
        Panel(_headline(result), title=_title(result), title_align="left", border_style=_colour(result), expand=False)
    )
    console.print(_numbers(result))
    if (several := _workloads(result)) is not None:
        console.print()
        console.print(several)
    if "pareto" in result.details:
        console.print(front_table(result.details["pareto"]))
    tree = tree_of(result.speculative_config, result.metrics)
    if tree is not None:
        console.print(Text(f"\n{tree.words}, with ranks and the share accepted of the drafts that came so far"))
        console.print(Text(tree.draw()))
    for line in _notes(result):
        console.print(Text(line, style="dim"), soft_wrap=True)
    for line in _diagnosis(result):
        console.print(Text(line), soft_wrap=True)
    for line in steps:
        console.print(Text(line), soft_wrap=True)


def _title(result: Result) -> str:
    label = f", {result.said.label.upper()}" if result.said.label else ""
    return f" {result.method} on {result.model}, {result.workload}{label} "


def _colour(result: Result) -> str:
    return "green" if result.confirmed and result.lossless else "yellow"


def _headline(result: Result) -> Text:
    text = Text()
    if result.speedup is None:
        return text.append(_nothing(result))
    text.append(f"{words.factor(result.speedup)} {words.bounds(result.interval)}", style="bold")
    said = result.said
    text.append("" if said is MEASURED else f" {said.quantity}")
    text.append("  confirmed" if result.confirmed else "  not confirmed").append(" on held-out prompts")
    if said.is_timed:
        lossless = "lossless" if result.lossless else said.label.upper() or "NOT LOSSLESS"
        text.append(f", {lossless}", style="" if result.lossless else "bold red")
    text.append("\n" + words.verdict_words(result.speedup, result.interval, said))
    if further := result.details.get("objectives", ())[1:]:
        each = [f"{one['name']} {words.factor(one['factor'])} {words.bounds(one['interval'])}" for one in further]
        text.append("\n" + "  ".join(each) + " against no speculation; above 1 is better")
    rule = result.details.get("by_rule", {"factor": result.speedup})
    if rule["factor"] != result.speedup:
        text.append(f"\nby the rule {words.factor(rule['factor'])} {words.bounds(rule['interval'])}")
    parameters = "  ".join(f"{name}={shortened(name, value)}" for name, value in result.parameters.items())
    return text.append("\n" + (parameters or "no parameters"))


def _nothing(result: Result) -> str:
    """Why there is no number."""
    over = result.details.get("limits_kept_by_none")
    return "No configuration keeps all limits." if over else "No configuration was measured to the end."


def _numbers(result: Result) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for title in ("", "no speculation", result.method):
        table.add_column(title, justify="left" if not title else "right")
    for label, name, quantile, digits in (
        ("time per output token, median (ms)", "tpot_ms", "p50", 3),
        ("time per output token, p95 (ms)", "tpot_ms", "p95", 3),
        ("time to first token, median (ms)", "ttft_ms", "p50", 2),
        *(UNDER_LOAD if BATCHES in result.metrics else ()),
        ("output tokens per second", "output_tokens_per_s", None, 1),
        ("acceptance rate", "acceptance_rate", None, 3),
        ("mean acceptance length", "mean_acceptance_length", None, 2),
        ("tokens per target pass", "tokens_per_target_pass", None, 2),
    ):
        values = [pick(metrics, name, quantile) for metrics in (result.baseline, result.metrics)]
        if values != [None, None]:
            table.add_row(label, *(words.number(value, digits) for value in values))
    return table


def _workloads(result: Result) -> Table | None:
    """The held-out speed-up on each of several workloads, and how far acceptance may fall there."""
    found = result.details.get("robust", {}).get("confirmed")
    if not found:
        return None
    falls = result.details.get("break_even", {}).get("by_workload", {})
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for title in ("workload", result.said.quantity, "interval", "acceptance", "no gain below"):
        table.add_column(title, justify="left" if title == "workload" else "right")
    for name, one in found.items():
        fall = falls.get(name, {})
        acceptance = (words.number(fall.get(key)) for key in ("acceptance_now", "acceptance_needed"))
        table.add_row(name, words.factor(one["speedup"]), words.bounds(one["interval"]), *acceptance)
    return table


def pick(metrics: Any, name: str, quantile: str | None) -> Any:
    value = metrics.get(name)
    return value.get(quantile) if quantile and isinstance(value, dict) else value


def _diagnosis(result: Result) -> list[str]:
    """What limits the result, and what to type next."""
    lines = []
    for finding in result.details.get("diagnosis", ()):
        lines += [f"- {finding['says']}", *([f"    try: {finding['next']}"] if finding["next"] else [])]
    return ["\nWhat limits it, and what to try", *lines] if lines else []


def _notes(result: Result) -> list[str]:
    losslessness = result.details.get("lossless") or {}
    notes = [str(note) for note in result.details.get("notes", ())]
    if losslessness and result.said.is_timed:
        notes.append(words.compared(losslessness))
    ended = ", ".join(f"{count} {name}" for name, count in result.trials.items() if count)
    return [*notes, f"Trials: {ended or 'none'}."]
