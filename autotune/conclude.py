"""From what was measured to the result that is announced, with the notes a reader needs to judge it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from autotune import arms, by_method, limits, notes, objectives, pareto
from autotune.analysis import means
from autotune.confirm import Confirmation, Confirmed
from autotune.constraints import Found, broken, found_in
from autotune.context import Context
from autotune.diagnosis.rules import explained
from autotune.load import described
from autotune.measurement import SYNTHETIC, measurement_of
from autotune.result import Result
from autotune.robust import break_even
from autotune.robust import record as robust
from autotune.samples import CANDIDATE, UnitResult
from autotune.search_space import described as described_space
from autotune.stats import Interval
from autotune.status import Cause, Status
from autotune.trial import Trial, counts
from autotune.trust.account import notes_of_measurement


@dataclass(frozen=True)
class Setting:
    """Where and on what a run was made; `study` is None for a single measurement. `trust` says what was checked of the
    measurements, `trust_notes` what a reader must know of it, `stopped` why there are fewer trials than were planned.
    `contenders` are the configurations that were measured to the end, of which one is confirmed.
    """

    context: Context
    environment: Mapping[str, Any]
    trials: Sequence[Trial]
    study: str | None
    model: Mapping[str, Any] | None = None
    trust: Mapping[str, Any] = field(default_factory=dict)
    trust_notes: Sequence[str] = ()
    stopped: str = ""
    contenders: Sequence[Trial] = ()

    @property
    def sentences(self) -> list[str]:
        """Of all this, for the reader of the result."""
        stopped = [f"{self.stopped[0].upper()}{self.stopped[1:]}."] if self.stopped else []
        return [*stopped, *self.trust_notes]


def from_confirmation(setting: Setting, confirmation: Confirmation, seconds: float) -> Result:
    """The chosen configuration, with its held-out numbers."""
    chosen, front = confirmation.chosen, _front(setting, confirmation)
    several = (setting.context.settings, setting.trials, chosen.trial, chosen.gains)
    enough = break_even.break_even(confirmation.results, chosen.arm, setting.context.settings, chosen.trial.output_law)
    details = {
        **_measured(setting, seconds),
        **front,
        **_interval(chosen.interval),
        **({"trust": {**setting.trust, "confirmation": confirmation.trust}} if confirmation.trust else {}),
        "prompts": "held out from the search",
        "trial": chosen.trial.number,
        "search_speedup": chosen.trial.speedup,
        "search_interval": chosen.trial.interval,
        "runner_up": _other(confirmation.other, confirmation.between),
        "ties": [confirmation.tie.to_json()] if confirmation.tie else [],
        "merged_trials": list(chosen.trial.repeats),
        "lossless": chosen.verdict.to_json(),
        "log_gains": means(chosen.gains),
        **_limits(setting, chosen.trial, chosen.limits),
        **break_even.record(enough, confirmation.results, chosen.arm, setting.context.settings),
        **robust.details(*several),
        "notes": [
            *notes.standing(setting.context.settings, chosen.trial.output_law),
            *setting.sentences,
            *notes.of_confirmation(setting.context.settings, confirmation),
            *robust.notes(*several),
            *(pareto.sentences(front["pareto"]) if front else []),
            *(notes_of_measurement(confirmation.trust, "The confirmation") if confirmation.trust else []),
            *limits.said(chosen.limits),
            *([enough.sentence] if enough else []),
            *by_method.sentence(setting.context.settings, setting.trials),
            *notes.of_load(setting.context.settings, confirmation.baseline, chosen.metrics),
            *notes.of_workers(setting.trials),
            *notes.of_export(setting.context.settings, chosen.trial),
        ],
    }
    bounds = chosen.interval.factor_bounds
    return _result(
        setting,
        chosen.trial.parameters,
        speedup=chosen.interval.factor,
        interval=bounds,
        lossless=chosen.verdict.lossless,
        confirmed=chosen.gain.above_zero
        and not chosen.verdict.reason
        and not broken(chosen.limits)
        and not confirmation.trust.get("doubts")
        and _can_be_confirmed(chosen.trial),
        metrics=chosen.metrics,
        baseline=confirmation.baseline,
        details=details,
    )


def from_trial(setting: Setting, trial: Trial, seconds: float, results: Sequence[UnitResult] = ()) -> Result:
    """One configuration that nobody chose by its numbers, so that any prompts confirm it. `results` are its own."""
    lossless = bool(trial.lossless.get("lossless", False))
    kept = found_in(setting.context.settings.constraints, trial.metrics, trial.speedup)
    over = trial.cause is Cause.LIMITS
    doubted = trial.status is Status.INVALID  # a number, but none to rely on: the notes of trust say why
    complete = trial.status is Status.COMPLETE or over or doubted  # what differs where it must not has failed
    above = complete and not over and not doubted and _gains(setting, trial)
    several = (setting.context.settings, setting.trials, trial, trial.gains)
    enough = break_even.break_even(results, CANDIDATE, setting.context.settings, trial.output_law) if complete else None
    details = {
        **_measured(setting, seconds),
        "interval_method": trial.interval_method,
        "units": trial.units,
        "prompts": "the held-out ones of the workload",
        "trial": trial.number,
        "lossless": dict(trial.lossless),
        "log_gains": means(trial.gains),
        **_each(setting, trial),
        **_limits(setting, trial, kept),
        **break_even.record(enough, results, CANDIDATE, setting.context.settings),
        **(robust.details(*several) if complete else {}),
        "notes": [
            *notes.standing(setting.context.settings, trial.output_law),
            *setting.sentences,
            *([] if complete else [f"The measurement {trial.status}: {trial.reason or trial.cause}."]),
            *(limits.said(kept) if complete else []),
            *(robust.notes(*several) if complete else []),
            *([enough.sentence] if enough else []),
            *notes.of_load(setting.context.settings, trial.baseline, trial.metrics),
            *notes.of_export(setting.context.settings, trial),
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
    """No trial was complete and lossless and within the limits."""
    lossless = all(trial.lossless.get("lossless", True) for trial in setting.trials)
    reasons = sorted({f"{trial.cause}: {trial.reason}" for trial in setting.trials if trial.reason})
    over = limits.nobody(setting.trials, setting.context.settings.constraints)
    note = over or "No trial was measured to the end. " + "; ".join(reasons[:3])
    law = arms.configured_law(setting.context.settings)
    said = [*notes.standing(setting.context.settings, law), *setting.sentences, note]
    return _result(
        setting, {}, speedup=None, interval=None, lossless=lossless, confirmed=False, metrics={}, baseline={},
        details={**_measured(setting, seconds), "notes": said, "limits_kept_by_none": bool(over)},
    )  # fmt: skip


def concluded(
    setting: Setting, parameters: Mapping[str, Any], details: Mapping[str, Any], seconds: float, **numbers: Any
) -> Result:
    """A result whose numbers were found elsewhere."""
    return _result(setting, parameters, details={**_measured(setting, seconds), **details}, **numbers)


def _gains(setting: Setting, trial: Trial) -> bool:
    """Whether a trial that nobody chose is shown to be better than no speculation, by the rule where there is one."""
    settings = setting.context.settings
    found = objectives.objectives_of(settings)
    if not found.several:
        return trial.interval is not None and trial.interval[0] > 1
    kept = not broken(found.rule.limits(found.factors_of(trial)))
    return kept and found.rule_interval(found.gains_of(trial), settings).above_zero


def _each(setting: Setting, trial: Trial) -> dict[str, Any]:
    """Every objective's factor, where there are several."""
    found = objectives.objectives_of(setting.context.settings)
    first = (trial.speedup, trial.interval)
    return {"objectives": objectives.record(found.names, first, trial.further)} if found.several else {}


def _front(setting: Setting, confirmation: Confirmation) -> dict[str, Any]:
    """Of several objectives: those of the chosen configuration on the held-out prompts, and the front of the search."""
    settings, chosen = setting.context.settings, confirmation.chosen
    found = objectives.objectives_of(settings)
    if not found.several:
        return {}
    first = (chosen.interval.factor, chosen.interval.factor_bounds)
    return {
        "objectives": objectives.record(found.names, first, chosen.further),
        "by_rule": {"factor": chosen.gain.factor, "interval": chosen.gain.factor_bounds},
        "pareto": pareto.record(setting.contenders, chosen.trial, found, settings.study),
    }


def _can_be_confirmed(trial: Trial) -> bool:
    """A number that assumes its acceptance has nothing to confirm."""
    return trial.output_law != SYNTHETIC


def _result(setting: Setting, parameters: Mapping[str, Any], **numbers: Any) -> Result:
    settings = setting.context.settings
    speculative = arms.speculative_config(settings, parameters)
    searched = {path: value for path, value in parameters.items() if path.startswith("engine.")}
    result = Result(
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
    return explained(result, settings, setting.trials)


def _measured(setting: Setting, seconds: float) -> dict[str, Any]:
    settings = setting.context.settings
    return {
        "objective": settings.objective.metric,
        "load": described(settings.load),
        "confidence": settings.study.confidence,
        "study": setting.study,
        "space": {**described_space(settings), "by_method": by_method.record(settings, setting.trials)},
        "command_line": setting.context.command_line,
        "seconds": round(seconds, 1),
        **({"model": setting.model} if setting.model is not None else {}),
        **({"trust": dict(setting.trust)} if setting.trust else {}),
        **({"stopped": setting.stopped} if setting.trust and setting.study else {}),
    }


def _limits(setting: Setting, trial: Trial, held_out: Sequence[Found]) -> dict[str, Any]:
    """Nothing where nothing was limited."""
    if not held_out:
        return {}
    settings = setting.context.settings
    found = objectives.objectives_of(settings)
    search = found_in(settings.constraints, trial.metrics, trial.speedup)
    if len(held_out) > len(search):
        search += found.rule.limits(found.factors_of(trial))
    return {"constraints": limits.record(search, held_out)}


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
        "against_chosen": {"speedup": between.factor, "interval": between.factor_bounds},
        **({"further": _further(other)} if other.further else {}),
    }


def _further(entry: Confirmed) -> dict[str, Any]:
    """Of several objectives, the held-out factors besides the first's."""
    return {name: {"factor": each.factor, "interval": each.interval} for name, each in entry.further.items()}
