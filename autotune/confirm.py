"""Measure the best of the search again, on prompts that it never saw. Only this number is announced."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from autotune import arms
from autotune.analysis import Gains, Verdict, verdict
from autotune.choice import FINALISTS, by_limits, choose
from autotune.constraints import Found, found_in
from autotune.enough import all_end, enough, most_passes
from autotune.errors import RunError
from autotune.inputs import Inputs
from autotune.objectives import factor, objectives_of
from autotune.robust import interval as value
from autotune.robust.parts import Part, visits
from autotune.robust.shares import summary_of
from autotune.runner import Watcher
from autotune.samples import BASELINE, UnitResult
from autotune.settings import Settings
from autotune.stats import Interval
from autotune.ties import Tie
from autotune.trial import Factor, Trial
from autotune.trust.account import of_measurement
from autotune.trust.guard import Guard, doubt_of
from autotune.worker.client import Worker
from autotune.worker.protocol import WorkerProblem

ATTEMPTS = 2


@dataclass(frozen=True)
class Confirmed:
    """One configuration on the held-out prompts. Of several objectives, `interval` is that of the first, `further` has
    those of the others, and `by_rule` is that of the gain that the rule goes by.
    """

    arm: str
    trial: Trial
    gains: Gains
    interval: Interval
    verdict: Verdict
    metrics: dict[str, Any]
    limits: Sequence[Found] = ()
    further: Mapping[str, Factor] = field(default_factory=dict)
    by_rule: Interval | None = None

    @property
    def gain(self) -> Interval:
        """What decides."""
        return self.by_rule or self.interval


@dataclass(frozen=True)
class Confirmation:
    """`chosen` is what is announced, `why` the reason where it is not simply the search's winner, `other` the best of
    those that were not taken, `between` its log-ratio to the chosen one, `ended` why more or less than the plan was
    measured, `trust` what was doubted of it, `invalid` the results that count nowhere.
    """

    chosen: Confirmed
    other: Confirmed | None
    between: Interval | None
    why: str
    baseline: dict[str, Any]
    results: Sequence[UnitResult]
    tie: Tie | None = None
    ended: str = ""
    trust: Mapping[str, Any] = field(default_factory=dict)
    invalid: Sequence[Sequence[UnitResult]] = ()


def confirm(
    worker: Worker,
    settings: Settings,
    inputs: Inputs,
    contenders: Sequence[Trial],
    watch: Watcher,
    in_budget: Callable[[], bool] = lambda: True,
    ahead: Callable[[Trial], Mapping[str, float]] = lambda _: {},
    guard: Guard | None = None,
) -> Confirmation:
    """`contenders` are the best of the search, in its order; `ahead` says by workload how far the best that was found
    there lies above one of them. What the guard doubts is measured again; what it doubts to the end is announced as
    doubted.
    """
    names = dict(zip(FINALISTS, contenders, strict=False))
    believed = (guard or Guard(settings.study)).until_believed(
        lambda: _measured(worker, settings, inputs.parts["confirm"], names, watch, in_budget),
        lambda now, before: doubt_of(now[0], before[0] if before else None, tuple(names), settings.study),
    )
    results, ended = believed.value
    found = {name: _confirmed(name, trial, results, settings) for name, trial in names.items()}
    objectives = objectives_of(settings)

    def between(one: str, other: str) -> Interval:
        base, apart = objectives.gains(results, other), objectives.gains(results, one, against=other)
        rule, known = objectives.rule, ahead(names[other])
        return value.between(rule.together(base), rule.together(apart), settings, known)

    chosen, why, tie = choose(found, between, inputs.space, settings.study.tie_margin)
    name, why = by_limits(found, chosen, why)
    tie = tie if name == chosen else None
    rest = [entry for key, entry in found.items() if key != name]
    other = max(rest, key=lambda entry: entry.gain.mean, default=None)
    apart = between(other.arm, name) if other else None
    baseline = summary_of(results, BASELINE)
    trust, invalid = of_measurement(results, [believed]), [results for results, _ in believed.invalid]
    return Confirmation(found[name], other, apart, why, baseline, results, tie, ended, trust, invalid)


def _measured(
    worker: Worker,
    settings: Settings,
    parts: Sequence[Part],
    names: dict[str, Trial],
    watch: Watcher,
    in_budget: Callable[[], bool],
) -> tuple[list[UnitResult], str]:
    """All held-out units, and further passes where study.precision asks for them; a worker that fails is given one
    more chance, from the beginning.
    """
    contenders = [arms.candidate(settings, trial.parameters, name) for name, trial in names.items()]
    for attempt in range(1, ATTEMPTS + 1):
        try:
            worker.prepare([arms.baseline(settings), *contenders], "confirm")
            return _visited(worker, settings, parts, tuple(names), watch, in_budget)
        except WorkerProblem as problem:
            if attempt == ATTEMPTS:
                raise RunError(f"the winner could not be confirmed: {problem}; the trials are kept") from problem
    raise AssertionError("unreachable")


def _visited(
    worker: Worker,
    settings: Settings,
    parts: Sequence[Part],
    names: Sequence[str],
    watch: Watcher,
    in_budget: Callable[[], bool],
) -> tuple[list[UnitResult], str]:
    """The planned passes, and more while an interval is wide; with why it ended where that is not plain."""
    load, objectives = settings.load, objectives_of(settings)
    most = most_passes(load.confirm_passes, settings)
    plan = visits(load, parts, most, (BASELINE, *names), most_passes(load.passes, settings))
    rule = enough(settings, len(plan) // most, load.confirm_passes, early=False)
    results: list[UnitResult] = []
    for done, step in enumerate(plan, start=1):
        watch(done - 1, rule.expected(done - 1))
        results.append(worker.measure(step.unit, "confirm", step.indices, step.repeat, step.order, step.arrivals))
        if done < rule.planned:
            continue
        ended = all_end(rule, [each for name in names for each in objectives.gains(results, name)], done)
        if ended is not None:
            return results, ended
        if done % rule.visits == 0 and not in_budget():
            return results, f"study.budget_minutes was spent after {done} visits"
    return results, ""


def _confirmed(name: str, trial: Trial, results: list[UnitResult], settings: Settings) -> Confirmed:
    objectives = objectives_of(settings)
    measured = objectives.gains(results, name)
    factors = {each: factor(own, (), settings) for each, own in zip(objectives.names, measured, strict=True)}
    known = {each: found for each, found in factors.items() if found is not None}
    if len(known) < len(factors):
        raise RunError(
            "no held-out answer had two tokens or more; raise workload.max_tokens or choose another workload"
        )
    metrics, found = summary_of(results, name), value.value_of(measured[0], settings)
    limits = found_in(settings.constraints, metrics, found.factor)
    return Confirmed(
        name,
        trial,
        measured[0],
        found,
        verdict(results, name, trial.output_law),
        metrics,
        [*limits, *objectives.rule.limits([each.factor for each in known.values()])],
        {each: known[each] for each in objectives.names[1:]},
        objectives.rule_interval(measured, settings) if objectives.several else None,
    )
