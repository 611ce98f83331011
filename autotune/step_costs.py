"""What a step costs by the rows of its target pass, in steps without speculation: measured by a real run, read by a
replay that predicts a speed-up.

The file is JSON: `cost` maps rows (1 + drafted tokens) to the time of such steps over that of one without speculation,
drafting included. A time is the quick decile, because a shared machine can only make a step slower. Between two
measured numbers of rows the cost is a straight line, beyond the last one the line from the first to the last goes on,
to twice the last.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autotune.errors import UsageError
from autotune.model.curve import at
from autotune.samples import BASELINE, CANDIDATE, UnitResult
from autotune.settings import Settings

SCHEMA = 1
FEWEST_STEPS = 10  # of a number of rows, for a decile that means something
QUICK = 0.1


@dataclass(frozen=True)
class StepCosts:
    """`points` are (rows, cost), ascending in rows, the first at one row."""

    points: tuple[tuple[int, float], ...]

    def cost(self, rows: int) -> float:
        """UsageError for more than twice the rows that were measured."""
        if rows > 2 * self.points[-1][0]:
            raise UsageError(
                f"the step costs end at {self.points[-1][0]} rows, a step of {rows} is too far beyond; measure them "
                "with autotune.bench and a larger method.num_speculative_tokens or token tree"
            )
        return at(self.points, rows)


def table(results: Sequence[UnitResult], settings: Settings, environment: Mapping[str, Any]) -> dict[str, Any] | None:
    """The content of step_costs.json; None where nothing drafted was timed step by step."""
    alone, drafting = _seconds(results, BASELINE).get(1, []), _seconds(results, CANDIDATE)
    enough = {rows: times for rows, times in sorted(drafting.items()) if len(times) >= FEWEST_STEPS}
    if len(alone) < FEWEST_STEPS or max(enough, default=1) == 1:
        return None
    return {
        "schema": SCHEMA,
        "model": settings.model.name,
        "method": settings.method.name,
        "workload": settings.workload.name,
        "seconds_without_speculation": quick(alone),
        "steps": {str(rows): len(times) for rows, times in enough.items()},
        "cost": {str(rows): quick(times) / quick(alone) for rows, times in enough.items()},
        "environment": dict(environment),
    }


def quick(times: Sequence[float]) -> float:
    """The time that a tenth of the steps stayed below."""
    return sorted(times)[int(QUICK * len(times))]


def _seconds(results: Sequence[UnitResult], arm: str) -> dict[int, list[float]]:
    found: dict[int, list[float]] = {}
    for result in results:
        if arm in result.runs:
            for rows, times in result.runs[arm].step_seconds.items():
                found.setdefault(rows, []).extend(times)
    return found


def read(path: str) -> StepCosts:
    """UsageError for a file that is no table of step costs."""
    wrong = f"model.step_costs is {path!r}, "
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
        points = sorted((int(rows), float(cost)) for rows, cost in found["cost"].items())
    except OSError as error:
        raise UsageError(
            f"{wrong}which cannot be read ({error.strerror}); give the step_costs.json of a bench"
        ) from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UsageError(f"{wrong}which is no table of step costs; give the step_costs.json of a bench") from error
    if not points or points[0][0] < 1 or min(cost for _, cost in points) <= 0:
        raise UsageError(f"{wrong}whose rows and costs must be above 0, at least one of them")
    return StepCosts(tuple(points if points[0][0] == 1 else [(1, 1.0), *points]))
