"""Numbers in words, the same in the terminal and in the report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autotune.arms import shown
from autotune.measurement import KINDS, MEASURED
from autotune.status import Status
from autotune.trial import Trial


def parameters(values: Mapping[str, Any]) -> str:
    return "  ".join(f"{name}={value}" for name, value in shown(values).items()) or "nothing to vary"


def factor(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}x"


def bounds(values: tuple[float, float] | list[float] | None) -> str:
    return "" if not values else f"[{bound(values[0])}, {bound(values[1])}]"


def bound(value: float) -> str:
    """Two decimals, and a third where two would hide on which side of 1 the bound lies."""
    return f"{value:.2f}" if f"{value:.2f}" != "1.00" else f"{value:.3f}"


def duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = int(seconds / 60 + 0.5)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def number(value: Any, digits: int = 2) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.0f} %"


def trial_line(trial: Trial, total: int) -> str:
    """One trial in one line, the numbers in columns."""
    place = f"{trial.number + 1}/{total}"
    measured = f"{factor(trial.speedup):>6}  {bounds(trial.interval):<14}"
    return f"{place:>7}  {measured}  {parameters(trial.parameters)}{ending(trial)}"


def ending(trial: Trial) -> str:
    """How a trial ended, where that is not the usual way."""
    if trial.status is not Status.COMPLETE:
        return f"  {trial.status}: {trial.reason or trial.cause}"
    pooled = ", ".join(str(number + 1) for number in trial.repeats)
    return f"  pooled with trial {pooled}" if pooled else ""


def verdict_words(
    speedup: float | None, interval: tuple[float, float] | list[float] | None, kind: str = MEASURED.kind
) -> str:
    """What an interval says about deploying; `kind` is that of the measurement."""
    if speedup is None or not interval:
        return "There is no interval, so nothing can be concluded."
    low, high = interval
    found = KINDS[kind]
    between = f"between {bound(low)} and {bound(high)} {found.unit}"
    if low > 1:
        return f"{found.faster}: {between}, most likely {speedup:.2f}."
    if high < 1:
        return f"{found.slower}: {between}. Deploy without speculation."
    return f"No difference could be shown: {between} as no speculation."
