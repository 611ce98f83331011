"""A schedule for a reader: the table of what was measured, and sentences about the crossovers and the confirmation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autotune.console.words import bounds, factor


def text(details: Mapping[str, Any]) -> str:
    """The table over all contexts, after that of each where there are several."""
    parts = [f"context of {each['context']} tokens\n{_table(each['batches'])}" for each in details.get("contexts", ())]
    over = ["all contexts, weighted"] if len(parts) > 1 else []
    return "\n".join([*parts, *over, _table(details["batches"])] if len(parts) != 1 else parts)


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows are batch sizes, columns draft lengths, cells factors over no speculation; the chosen one is marked."""
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
    found = [f"Tokens to draft by requests in flight: {_parts(details['buckets'])}."]
    found += [_fall(fall) for fall in details["crossovers"]]
    found += _of_contexts(details)
    against = details["confirmed"]["against_best_fixed"]
    if against:
        found.append(
            f"On the held-out prompts the schedule is {factor(against['speedup'])} {bounds(against['interval'])} of "
            f"the best fixed length, {details['best_fixed']} tokens; every batch size counts equally."
        )
    elif details["best_fixed"] == 0:
        found.append("The best fixed length over all batch sizes is no speculation.")
    return [*found, *_of_exports(details)]


def _of_contexts(details: Mapping[str, Any]) -> list[str]:
    """What would be best at each context alone, where that is not the schedule."""
    own = [each for each in details.get("contexts", ()) if each["buckets"] != details["buckets"]]
    said = [f"{_parts(each['buckets'])} at a context of {each['context']} tokens" for each in own]
    return [f"Alone, other schedules would be best: {'; '.join(said)}."] if said else []


def _of_exports(details: Mapping[str, Any]) -> list[str]:
    """What becomes of the schedule in vLLM 0.12, which knows a cutoff only."""
    if len(details["buckets"]) == 1:
        return []
    if "0.12" not in details["exports"]:
        return ["vLLM 0.12 has no such schedule: its disable_by_batch_size begins at 2."]
    found, against = [], details["confirmed"].get("against_best_cutoff")
    if against:
        first = details["cutoff"][0]
        found.append(
            f"vLLM 0.12 knows a cutoff only; the best is {first[2]} tokens up to batch size {first[1]}, and the "
            f"schedule is {factor(against['speedup'])} {bounds(against['interval'])} of it."
        )
    if "disable_by_batch_size" in details["exports"]["0.12"]:
        found.append(
            "vLLM 0.12 takes disable_by_batch_size but its engine does not act on it (vLLM's issue 25112): there the "
            f"drafts stay as long at every batch size. The best fixed length is {details['best_fixed']} tokens."
        )
    return found


def _parts(buckets: Sequence[Sequence[int]]) -> str:
    return ", ".join(f"{count} for {_range(first, last)}" for first, last, count in buckets)


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
