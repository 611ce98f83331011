"""What the result says about how far its measurements can be trusted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autotune.console.words import percent
from autotune.samples import UnitResult
from autotune.status import Status
from autotune.trial import Trial
from autotune.trust.device import NOT_WATCHED
from autotune.trust.doubt import Doubt
from autotune.trust.effects import Knobs, name_of
from autotune.trust.fairness import stolen_share
from autotune.trust.guard import Believed

HELD_UP = 0.1  # of the measured time without a core, from which on a reader should know


def trusted(trials: Sequence[Trial], knobs: Knobs, watched: str) -> dict[str, Any]:
    """For `details.trust`: dead knobs, attempts that were not believed, and whether a device was watched."""
    return {
        "dead_knobs": [knob.to_json() for knob in knobs.dead],
        "live_knobs": [name_of(knob) for knob in knobs.alive],
        "unjudged_knobs": [name_of(knob) for knob in knobs.unknown],
        **of_trials(trials),
        "device_watch": watched,
    }


def of_trials(trials: Sequence[Trial]) -> dict[str, Any]:
    """The attempts at them that were not believed, and those without one that was."""
    return {
        "invalid_attempts": [{"trial": trial.number, **attempt} for trial in trials for attempt in trial.attempts],
        "invalid_trials": [trial.number for trial in trials if trial.status is Status.INVALID],
    }


def of_measurement(results: Sequence[UnitResult], believed: Sequence[Believed[Any]]) -> dict[str, Any]:
    """For `details.trust`: what was thrown away, what is doubted all the same, and the share of the measured time in
    which a run was ready and waited for a core (None where the system does not count it).
    """
    return {
        "invalid_attempts": [_said(doubt) for each in believed for _, doubt in each.doubted],
        "doubts": [_said(each.doubt) for each in believed if each.doubt is not None],
        "waited_for_core": stolen_share(results),
    }


def notes_of_measurement(found: Mapping[str, Any], what: str) -> list[str]:
    """Sentences about what `of_measurement` found; `what` names the measurement."""
    thrown, doubts, waited = found["invalid_attempts"], found["doubts"], found["waited_for_core"]
    said = []
    if doubts:
        times = f" after {len(thrown)} attempts" if len(thrown) > 1 else ""
        said.append(f"{what} is doubted{times}, so it confirms nothing: {doubts[-1]['reason']}.")
    elif thrown:
        said.append(f"{what} was made again, because {thrown[-1]['reason']}; only the repetition counts.")
    if waited is not None and waited > HELD_UP:
        said.append(f"{what} waited for a core in {percent(waited)} of its time: other processes were at work.")
    return said


def notes_of_watch(watched: str) -> list[str]:
    """That a device is there and nobody looked at it."""
    return [f"{watched[0].upper()}{watched[1:]}."] if watched.startswith(NOT_WATCHED) else []


def _said(doubt: Doubt) -> dict[str, str]:
    return {"cause": str(doubt.cause), "reason": doubt.reason}


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
