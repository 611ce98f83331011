"""Which of the finalists is announced, from what they showed on the held-out prompts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from autotune.analysis import interval_of, paired
from autotune.constraints import broken
from autotune.dimension import METHOD
from autotune.settings import StudySettings
from autotune.space import Space
from autotune.stats import Interval
from autotune.ties import Tie, ties
from autotune.trial import Trial

if TYPE_CHECKING:
    from autotune.confirm import Confirmed

WINNER, RUNNER_UP, THIRD = "winner", "runner_up", "third"
FINALISTS = (WINNER, RUNNER_UP, THIRD)
"""What the arms of a confirmation are called, in the search's order."""
TREES = ("method.speculative_token_tree", "method.dynamic_tree_num_draft_tokens")

Between = Callable[[str, str], Interval]
"""By how much the first arm's log-gain lies above the second's."""


class Choice(NamedTuple):
    """Which arm is announced, why if that is not plain, and the tie if there is one."""

    arm: str
    why: str = ""
    tie: Tie | None = None


def finalists(ranked: Sequence[Trial], study: StudySettings) -> list[Trial]:
    """The best of the search and the runner-up; and what follows, up to study.finalists, where the search could not
    tell it from the best.
    """
    best, further = ranked[: min(2, study.finalists)], ranked[2 : study.finalists]
    return [*best, *(trial for trial in further if not _is_behind(trial, ranked[0], study))]


def _is_behind(trial: Trial, best: Trial, study: StudySettings) -> bool:
    apart = paired(trial.gains, best.gains)
    if not apart:
        return True
    found = interval_of(apart, study)
    return found.high is not None and found.high < 0


def choose(found: Mapping[str, Confirmed], between: Between, space: Space, margin: float = 0.0) -> Choice:
    """The search's winner, challenged by the others in turn."""
    choice = Choice(next(iter(found)))
    for challenger in list(found)[1:]:
        choice = _duel(choice, challenger, found, between, space, margin)
    return choice


def _duel(
    choice: Choice, challenger: str, found: Mapping[str, Confirmed], between: Between, space: Space, margin: float
) -> Choice:
    """The best so far, unless it lost tokens, or the challenger is better, or equal and lossless or simpler."""
    best, other = found[choice.arm], found[challenger]
    if other.verdict.reason:
        return choice
    if best.verdict.reason:
        return Choice(challenger, "the search's winner was not lossless on the held-out prompts; another was")
    apart = between(challenger, choice.arm)
    one_kind = kind(best.trial) == kind(other.trial)
    if not (rule := ties(apart, margin, one_kind)):
        better = (
            "the search had another order" if apart.contains_zero else "it was clearly faster than the search's own"
        )
        return Choice(challenger, f"the best on the held-out prompts; {better}") if apart.mean > 0 else choice
    simplicity = [(not e.verdict.lossless, *space.simplicity(e.trial.parameters)) for e in (best, other)]
    taken, left = (other, best) if simplicity[1] < simplicity[0] else (best, other)
    tie = Tie(taken.trial.parameters, left.trial.parameters, apart, margin, rule)
    return Choice(taken.arm, "the best tie on the held-out prompts; the simpler one was taken", tie)


def kind(trial: Trial) -> tuple[Any, ...]:
    """What a configuration costs besides time: its method, with the model that it may need, and trees."""
    return trial.parameters.get(METHOD), any(trial.parameters.get(path) is not None for path in TREES)


def by_limits(found: Mapping[str, Confirmed], name: str, why: str) -> tuple[str, str]:
    """`name`, unless it breaks a limit on the held-out prompts and another, which lost nothing, keeps them all."""
    keep = [entry for key, entry in found.items() if key != name and not entry.verdict.reason]
    keep = [entry for entry in keep if not broken(entry.limits)]
    if not keep or not broken(found[name].limits):
        return name, why
    best = max(keep, key=lambda entry: entry.gain.mean)
    return best.arm, "the fastest does not keep the limits on the held-out prompts; this one does"
