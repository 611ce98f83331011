"""Rules about the verdict itself: what could not be told apart, and what it would take."""

from __future__ import annotations

import math

from autotune.console.words import bounds
from autotune.diagnosis.finding import Finding
from autotune.diagnosis.seen import Seen

WORTH_KNOWING = 0.02  # a gain below this decides nothing
MOST = 16  # times the prompts that are worth measuring; beyond that something else is tried sooner


def tie(seen: Seen) -> Finding | None:
    """Two finalists cannot be told apart."""
    between = (seen.details.get("runner_up") or {}).get("against_chosen") or {}
    interval = between.get("interval")
    if not interval or not interval[0] <= 1 <= interval[1]:
        return None
    other = seen.details["runner_up"].get("parameters") or {}
    named = " ".join(f"{name}={value}" for name, value in other.items())
    says = (
        f"Two finalists tie: the other one ({named}) stands at {bounds(interval)} times the chosen one. Either will "
        "do; more prompts would tell them apart if they differ."
    )
    numbers = {"between": between.get("speedup"), "interval": list(interval)}
    return Finding("tie", says, numbers, seen.more_units(2))


def noise(seen: Seen) -> Finding | None:
    """Neither faster nor slower could be shown. An interval narrows with the root of the number of units."""
    if not seen.interval or not seen.interval[0] <= 1 <= seen.interval[1] or not seen.drafted:
        return None
    width = math.log(seen.interval[1] / seen.interval[0]) / 2
    middle = abs(math.log(seen.speedup or 1.0))
    times = (width / max(middle, math.log1p(WORTH_KNOWING))) ** 2
    says = f"The interval {bounds(seen.interval)} holds 1, so neither side is faster as far as this run can tell."
    if times <= 1:
        return Finding("noise", f"{says} It is narrow: what difference there is, is small.", {"half_width": width})
    more = math.ceil(times)
    says += f" About {more} times the prompts would show a difference of the size seen, or of 2 % if that is more."
    if more > MOST:
        says += " A quieter machine, or another method, would tell sooner."
    command = seen.more_units(more) if more <= MOST else seen.command("method=auto", module="autotune")
    return Finding("noise", says, {"half_width": width, "times_the_prompts": more}, command)
