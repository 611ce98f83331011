"""How far the measurements can be trusted, as sentences and a table: what was watched, repeated, dropped and why the
search ended.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from autotune.console import words
from autotune.report.data import Run


def sentences(run: Run) -> list[str]:
    """Nothing for a run that recorded nothing of this."""
    return list(_sentences(run, run.details.get("trust") or {}))


def _sentences(run: Run, trust: dict[str, Any]) -> Iterator[str]:
    if trust.get("device_watch"):
        yield f"Watched between measurements: {trust['device_watch']}."
    if "invalid_attempts" in trust:
        count = len(trust["invalid_attempts"])
        was = "was" if count == 1 else "were"
        yield f"{count or 'No'} measurement{'' if count == 1 else 's'} {was} doubted" + (
            f" and measured again; what was doubted counts nowhere. {len(trust['invalid_trials']) or 'No'} "
            f"trial{'' if len(trust['invalid_trials']) == 1 else 's'} stayed without a valid measurement."
            if count
            else "."
        )
    if again := sum(bool(trial.get("repeats")) for trial in run.trials):
        yield f"{again} trial{' was' if again == 1 else 's were'} of a configuration measured before, and pooled."
    if ended := _endings(run):
        yield f"{ended[0].upper()}{ended[1:]}."
    yield from _knobs(trust)
    if "stopped" in run.details:
        stopped = run.details["stopped"]
        yield f"The search ended early: {stopped}." if stopped else "The search went on to its planned end."


ENDINGS = {
    "narrow enough": "ended as soon as the interval was narrow enough",
    "not narrow enough": "ended wider than study.precision asks, after the most passes allowed",
    "the prompts differ": "ended wider than study.precision asks, because the prompts themselves differ",
}


def _endings(run: Run) -> str:
    """How many trials ended before or after their plan because of their precision."""
    ends = [trial.get("ended") or "" for trial in run.trials]
    counts = {said: sum(end.startswith(begin) for end in ends) for begin, said in ENDINGS.items()}
    return "; ".join(f"{count} trial{'' if count == 1 else 's'} {said}" for said, count in counts.items() if count)


def _knobs(trust: dict[str, Any]) -> Iterator[str]:
    """Whether every knob moved any counter."""
    for knob in trust.get("dead_knobs", ()):
        values = ", ".join(map(str, knob["values"]))
        yield f"{knob['knob']} had no effect: between {values} every counter stayed as it was."
    if live := trust.get("live_knobs"):
        yield f"Seen to change what is drafted: {', '.join(live)}."
    if unknown := trust.get("unjudged_knobs"):
        yield f"Not compared with everything else equal: {', '.join(unknown)}."


def doubted(run: Run) -> list[dict[str, str]]:
    """The attempts that were not believed."""
    return [
        {
            "trial": str(attempt["trial"] + 1),
            "cause": attempt["cause"],
            "reason": attempt["reason"],
            "speedup": words.factor(attempt["speedup"]),
            "seconds": words.number(attempt["seconds"], 1),
        }
        for attempt in (run.details.get("trust") or {}).get("invalid_attempts", ())
    ]


def limits(run: Run) -> list[dict[str, Any]]:
    """Every constraint with what was found in the search and on the held-out prompts."""
    return [
        {
            "name": limit["name"].replace("_", " "),
            "limit": f"at {'most' if limit['bound'] == 'max' else 'least'} {limit['limit']:g}",
            "search": _plain(limit["search"]),
            "held_out": _plain(limit["held_out"]),
            "kept": limit["kept"],
            "room": f"{-100 * limit['violation']:+.1f} %".replace("-", "−"),
        }
        for limit in run.details.get("constraints") or ()
    ]


def _plain(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.4g}"
