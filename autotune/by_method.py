"""Where several methods were searched: the best trial of each, to see what the winner was better than."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autotune.console import words
from autotune.dimension import METHOD
from autotune.settings import Settings
from autotune.status import Status
from autotune.trial import Trial, ranking


def best_of_each(settings: Settings, trials: Sequence[Trial]) -> dict[str, Trial]:
    """By method, best first: the best complete trial; of a method without any the best that has a number, after the
    others.
    """
    found: dict[str, Trial] = {}
    for method in settings.methods:
        own = [trial for trial in trials if trial.parameters.get(METHOD) == method.name]
        rest = sorted((t for t in own if t.speedup is not None), key=lambda trial: trial.rank, reverse=True)
        if best := next(iter([*ranking(own), *rest]), None):
            found[method.name] = best
    return dict(sorted(found.items(), key=lambda item: (_complete(item[1]), item[1].rank), reverse=True))


def record(settings: Settings, trials: Sequence[Trial]) -> dict[str, dict[str, Any]]:
    """For the result's details: the search's own numbers."""
    return {
        name: {"trial": best.number, "speedup": best.speedup, "interval": best.interval, "status": str(best.status)}
        for name, best in best_of_each(settings, trials).items()
    }


def sentence(settings: Settings, trials: Sequence[Trial]) -> list[str]:
    """A note; none where one method was searched."""
    found = best_of_each(settings, trials)
    if not found:
        return []
    each = [
        f"{name} {words.labelled(best.speedup, best.output_law)}{'' if _complete(best) else ' (stopped early)'}"
        for name, best in found.items()
    ]
    missing = [method.name for method in settings.methods if method.name not in found]
    without = f"; without a number: {', '.join(missing)}" if missing else ""
    return [f"The best of every method on the search's prompts: {', '.join(each)}{without}."]


def _complete(trial: Trial) -> bool:
    return trial.status is Status.COMPLETE
