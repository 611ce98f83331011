"""A schedule for a reader: the table of what was measured, and sentences about the crossovers and the confirmation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autotune.console.words import bounds, factor


def text(details: Mapping[str, Any]) -> str:
    """Rows are batch sizes, columns draft lengths, cells factors over no speculation; the chosen one is marked."""
    rows = details["batches"]
    head = "requests in flight  " + "".join(f"{option['tokens']:>9}" for option in rows[0]["options"]) + "   draft"
    lines = [head]
    for row in rows:
        cells = "".join(f"{_cell(option, row['tokens']):>9}" for option in row["options"])
        lines.append(f"{row['batch']:>18}  {cells}   {row['tokens']}")
    return "\n".join(lines)


def _cell(option: Mapping[str, Any], chosen: int) -> str:
    mark = "*" if option["tokens"] == chosen else ""
    return f"{mark}{option['speedup']:.2f}x"


def sentences(details: Mapping[str, Any]) -> list[str]:
    parts = ", ".join(f"{count} for {_range(first, last)}" for first, last, count in details["buckets"])
    found = [f"Tokens to draft by requests in flight: {parts}."]
    found += [_fall(fall) for fall in details["crossovers"]]
    against = details["confirmed"]["against_best_fixed"]
    if against:
        found.append(
            f"On the held-out prompts the schedule is {factor(against['speedup'])} {bounds(against['interval'])} of "
            f"the best fixed length, {details['best_fixed']} tokens; every batch size counts equally."
        )
    elif details["best_fixed"] == 0:
        found.append("The best fixed length over all batch sizes is no speculation.")
    if "0.12" not in details["exports"]:
        found.append("vLLM 0.12 has no such schedule: its disable_by_batch_size begins at 2.")
    return found


def _range(first: int, last: int) -> str:
    return str(first) if first == last else f"{first} to {last}"


def _fall(fall: Mapping[str, Any]) -> str:
    if fall["batch"] is None:
        return f"{fall['tokens']} tokens pay up to the largest batch size measured ({_ends(fall)})."
    return f"{fall['tokens']} tokens pay below batch size {fall['batch']} ({_ends(fall)})."


def _ends(fall: Mapping[str, Any]) -> str:
    if fall["low"] is None:
        return "in no bootstrap sample is there a crossover"
    low, high = (str(fall[name]) if fall[name] is not None else "beyond" for name in ("low", "high"))
    return f"interval of the crossover: {low} to {high}"
