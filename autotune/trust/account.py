"""What the result says about how far its measurements can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autotune.status import Status
from autotune.trial import Trial
from autotune.trust.effects import Knobs, name_of


def trusted(trials: Sequence[Trial], knobs: Knobs, watched: str) -> dict[str, Any]:
    """For `details.trust`: dead knobs, attempts that were not believed, and whether a device was watched."""
    return {
        "dead_knobs": [knob.to_json() for knob in knobs.dead],
        "live_knobs": [name_of(knob) for knob in knobs.alive],
        "unjudged_knobs": [name_of(knob) for knob in knobs.unknown],
        "invalid_attempts": [{"trial": trial.number, **attempt} for trial in trials for attempt in trial.attempts],
        "invalid_trials": [trial.number for trial in trials if trial.status is Status.INVALID],
        "device_watch": watched,
    }


def notes(trials: Sequence[Trial], knobs: Knobs) -> list[str]:
    """Sentences for the reader of the result, only where there is something to say."""
    found = [f"{knob.sentence()}." for knob in knobs.dead]
    attempts = sum(len(trial.attempts) for trial in trials)
    lost = sum(trial.status is Status.INVALID for trial in trials)
    if attempts:
        repeated = f"{attempts} measurement{'s' if attempts > 1 else ''} could not be believed and count nowhere"
        why = ", ".join(sorted({attempt["cause"] for trial in trials for attempt in trial.attempts}))
        found.append(f"{repeated} ({why}); {lost or 'no'} trial{'' if lost == 1 else 's'} stayed without a valid one.")
    return found
