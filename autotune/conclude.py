"""From what was measured to the result that is announced, with the notes a reader needs to judge it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autotune import arms, dialect
from autotune.analysis import interruptions, means
from autotune.confirm import Confirmation, Confirmed
from autotune.console import words
from autotune.context import Context
from autotune.load import described
from autotune.measurement import SYNTHETIC, measurement_of
from autotune.result import Result
from autotune.search_space import described as described_space
from autotune.stats import Interval
from autotune.status import Status
from autotune.trial import Trial, counts

BACKLOG = 0.2  # of a window's requests, still queued at its end: the queue grows and does not just fluctuate


@dataclass(frozen=True)
class Setting:
    """Where and on what a run was made; `study` is None for a single measurement."""

    context: Context
    environment: Mapping[str, Any]
    trials: Sequence[Trial]
    study: str | None


def from_confirmation(setting: Setting, confirmation: Confirmation, seconds: float) -> Result:
    """The chosen configuration, with its held-out numbers."""
    chosen = confirmation.chosen
    details = {
        **_measured(setting, seconds),
        **_interval(chosen.interval),
        "prompts": "held out from the search",
        "trial": chosen.trial.number,
        "search_speedup": chosen.trial.speedup,
        "search_interval": chosen.trial.interval,
        "runner_up": _other(confirmation.other, confirmation.between),
        "lossless": chosen.verdict.to_json(),
        "log_gains": means(chosen.gains),
        "notes": [
            *_standing_notes(setting, chosen.trial.output_law),
            *_notes(setting, confirmation),
            *_backlog_notes(setting, confirmation.baseline, chosen.metrics),
            *_export_notes(setting, chosen.trial),
        ],
    }
    bounds = chosen.interval.factor_bounds
    return _result(
        setting,
        chosen.trial.parameters,
        speedup=chosen.interval.factor,
        interval=bounds,
        lossless=chosen.verdict.lossless,
        confirmed=chosen.interval.above_zero and not chosen.verdict.reason and _can_be_confirmed(chosen.trial),
        metrics=chosen.metrics,
        baseline=confirmation.baseline,
        details=details,
    )


def from_trial(setting: Setting, trial: Trial, seconds: float) -> Result:
    """One configuration that nobody chose by its numbers, so that any prompts confirm it."""
    lossless = bool(trial.lossless.get("lossless", False))
    complete = trial.status is Status.COMPLETE  # what differs where it must not has failed
    above = complete and trial.interval is not None and trial.interval[0] > 1
    details = {
        **_measured(setting, seconds),
        "interval_method": trial.interval_method,
        "units": trial.units,
        "prompts": "the held-out ones of the workload",
        "trial": trial.number,
        "lossless": dict(trial.lossless),
        "log_gains": means(trial.gains),
        "notes": [
            *_standing_notes(setting, trial.output_law),
            *([] if complete else [f"The measurement {trial.status}: {trial.reason or trial.cause}."]),
            *_backlog_notes(setting, trial.baseline, trial.metrics),
            *_export_notes(setting, trial),
        ],
    }
    return _result(
        setting,
        trial.parameters,
        speedup=trial.speedup if complete else None,
        interval=trial.interval if complete else None,
        lossless=lossless,
        confirmed=above and _can_be_confirmed(trial),
        metrics=trial.metrics,
        baseline=trial.baseline,
        details=details,
    )


def without_winner(setting: Setting, seconds: float) -> Result:
    """No trial was complete and lossless."""
    lossless = all(trial.lossless.get("lossless", True) for trial in setting.trials)
    reasons = sorted({f"{trial.cause}: {trial.reason}" for trial in setting.trials if trial.reason})
    note = "No trial was measured to the end. " + "; ".join(reasons[:3])
    law = arms.configured_law(setting.context.settings)
    return _result(
        setting, {}, speedup=None, interval=None, lossless=lossless, confirmed=False, metrics={}, baseline={},
        details={**_measured(setting, seconds), "notes": [*_standing_notes(setting, law), note]},
    )  # fmt: skip


def _can_be_confirmed(trial: Trial) -> bool:
    """A number that assumes its acceptance has nothing to confirm."""
    return trial.output_law != SYNTHETIC


def _result(setting: Setting, parameters: Mapping[str, Any], **numbers: Any) -> Result:
    settings = setting.context.settings
    speculative = arms.speculative_config(settings, parameters)
    searched = {path: value for path, value in parameters.items() if path.startswith("engine.")}
    return Result(
        command=setting.context.command,
        model=settings.model.name,
        method=settings.method_of(parameters).name,
        workload=settings.workload.name,
        parameters={**{key: value for key, value in (speculative or {}).items() if key != "method"}, **searched},
        speculative_config=speculative,
        trials=counts(list(setting.trials)),
        outputs=str(setting.context.folder.path),
        environment=setting.environment,
        measurement=measurement_of(settings).kind,
        output_law=arms.output_law(settings, parameters),
        warm_requests=settings.method.warm_requests,
        **numbers,
    )


def _measured(setting: Setting, seconds: float) -> dict[str, Any]:
    settings = setting.context.settings
    return {
        "objective": settings.objective.metric,
        "load": described(settings.load),
        "confidence": settings.study.confidence,
        "study": setting.study,
        "space": described_space(settings),
        "command_line": setting.context.command_line,
        "seconds": round(seconds, 1),
    }


def _standing_notes(setting: Setting, output_law: str) -> list[str]:
    """What holds for every number of the run."""
    warm = setting.context.settings.method.warm_requests
    sentence = measurement_of(setting.context.settings, output_law).sentence
    cache = (
        f"Warm cache: before every measured run the method's cache held the responses to {warm} other prompts and "
        "nothing else. A server that is new, or has other traffic, will be slower."
    )
    return [*filter(None, [sentence]), *([cache] if warm else [])]


def _backlog_notes(setting: Setting, baseline: Mapping[str, Any], metrics: Mapping[str, Any]) -> list[str]:
    """Where more requests come than can be served, how long they wait is a matter of the window's length."""
    sides = (("without speculation", baseline), (f"with {setting.context.settings.method.name}", metrics))
    shares = {name: found.get("backlog") or 0.0 for name, found in sides}
    behind = [f"{words.percent(share)} {name}" for name, share in shares.items() if share > BACKLOG]
    if not behind:
        return []
    return [
        "More requests come than can be served: when the last one of a window came, many before it were still queued "
        f"({', '.join(behind)}). Times to the first and to the last token then grow with the window; lower the rate to "
        "compare them."
    ]


def _export_notes(setting: Setting, trial: Trial) -> list[str]:
    """What is to know of the exported file, where there is one."""
    if dialect.refusal(trial.output_law):
        return []
    return dialect.notes(arms.speculative_config(setting.context.settings, trial.parameters))


def _interval(interval: Interval) -> dict[str, Any]:
    return {"interval_method": interval.method, "units": interval.units}


def _other(other: Confirmed | None, between: Interval | None) -> dict[str, Any] | None:
    """The one of the two that was not taken; `against_winner` is its speed relative to the search's winner."""
    if other is None or between is None:
        return None
    return {
        "trial": other.trial.number,
        "parameters": arms.shown(other.trial.parameters),
        "speedup": other.interval.factor,
        "interval": other.interval.factor_bounds,
        "lossless": other.verdict.lossless,
        "output_law": other.verdict.output_law,
        "runner_up_against_winner": {"speedup": between.factor, "interval": between.factor_bounds},
    }


def _notes(setting: Setting, confirmation: Confirmation) -> list[str]:
    chosen = confirmation.chosen
    said = measurement_of(setting.context.settings, chosen.trial.output_law)
    notes = [f"{confirmation.why[0].upper()}{confirmation.why[1:]}."] if confirmation.why else []
    if chosen.trial.speedup is not None:
        found, held_out = (
            words.labelled(value, said.output_law) for value in (chosen.trial.speedup, chosen.interval.factor)
        )
        notes.append(
            f"The search saw {found} for this configuration on its own prompts; "
            f"{held_out} on the held-out ones is the number to use."
        )
    notes += [f"While confirming, {text}." for text in filter(None, [interruptions(confirmation.results)])]
    if chosen.verdict.reason:
        notes.append(f"Not lossless: {chosen.verdict.reason}.")
    elif not chosen.interval.above_zero:
        notes.append(
            f"{said.gain} could not be confirmed. Deploy without speculation, or try another method or workload."
        )
    return notes
