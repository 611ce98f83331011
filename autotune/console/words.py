"""Numbers in words, the same in the terminal and in the report."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from autotune.arms import shown
from autotune.measurement import MEASURED, TARGET, Measurement
from autotune.robust.mix import levels
from autotune.status import Status
from autotune.trees import shortened
from autotune.trial import Trial


def parameters(values: Mapping[str, Any]) -> str:
    return "  ".join(f"{name}={shortened(name, value)}" for name, value in shown(values).items()) or "nothing to vary"


def factor(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}x"


def labelled(value: float | None, output_law: str) -> str:
    """A factor with the word that must stand beside it where the answers are not the model's own."""
    return factor(value) if output_law == TARGET else f"{factor(value)} {output_law}"


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
    number = trial.number + 1  # those that were left out or repeated count on beyond the plan
    place = f"{number}/{max(number, total)}"
    measured = f"{factor(trial.speedup):>6}  {bounds(trial.interval):<14}"
    measured += "".join(f"  {name} {factor(each.factor)}" for name, each in trial.further.items())
    law = "" if trial.output_law == TARGET else f"  {trial.output_law}"
    each = "".join(f"  {workload} {factor(math.exp(level))}" for workload, level in levels(trial.gains).items())
    return f"{place:>7}  {measured}  {parameters(trial.parameters)}{each}{law}{ending(trial)}"


def ending(trial: Trial) -> str:
    """How a trial ended, where that is not the usual way."""
    if trial.status is not Status.COMPLETE:
        return f"  {trial.status}: {trial.reason or trial.cause}"
    pooled = ", ".join(str(number + 1) for number in trial.repeats)
    again = f"  measured again: {trial.attempts[-1]['cause']}" if trial.attempts else ""
    return (f"  pooled with trial {pooled}" if pooled else "") + again + (f"  {trial.ended}" if trial.ended else "")


def compared(found: Mapping[str, Any]) -> str:
    """What the comparison of the answers with the baseline's came to."""
    if found.get("output_law", TARGET) != TARGET:
        return (
            f"{found['differing_answers']} of {found['answers']} answers differ from the baseline's, "
            f"as those of {found['output_law']} acceptance may."
        )
    ties = found.get("near_ties", 0)
    return (
        f"{found.get('compared_tokens', 0)} tokens compared with the baseline's, "
        f"{ties or 'no'} near tie{'' if ties == 1 else 's'} excused."
    )


def load(values: Mapping[str, Any]) -> str:
    """How the requests arrived, from the record of the load."""
    kind = values["kind"].replace("_", " ")
    if values.get("concurrency", 0) > 1:
        return f"{kind}, {values['concurrency']} requests in flight"
    rates = values.get("rates") or [values[name] for name in ("rate", "rate_start", "rate_end") if name in values]
    parts = [kind, f"{' to '.join(f'{rate:g}' for rate in rates)} requests/s" if rates else ""]
    parts += [f"burstiness {values['burstiness']:g}" if "burstiness" in values else ""]
    parts += [f"{values['path']}, speed {values['speed']:g}" if "path" in values else ""]
    return ", ".join(part for part in parts if part)


def limits(slo: Mapping[str, float]) -> str:
    """The limits of load.slo by the names of their times."""
    return ", ".join(f"{name.removesuffix('_ms')} {limit:g} ms" for name, limit in slo.items())


def verdict_words(
    speedup: float | None, interval: tuple[float, float] | list[float] | None, found: Measurement = MEASURED
) -> str:
    """What an interval says about deploying; `found` is what was measured."""
    if speedup is None or not interval:
        return "There is no interval, so nothing can be concluded."
    low, high = interval
    between = f"between {bound(low)} and {bound(high)} {found.unit}"
    if low > 1:
        return f"{found.faster}: {between}, most likely {speedup:.2f}."
    if high < 1:
        return f"{found.slower}: {between}. Deploy without speculation."
    return f"No difference could be shown: {between} {found.against} no speculation."
