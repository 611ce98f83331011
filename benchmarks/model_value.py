"""What the model is worth: trials and tokens until the best configuration is found, with and without it.

    python -m benchmarks.model_value [seeds]

On simulated engines whose truth is known: a step costs 1 + (row + level) * K, a drafted token is accepted with
a chance that falls with the distance of the lookup window from the best one. No process, no clock: what a study does
between its engine and its database, and nothing else. A study has arrived when it has measured a configuration that is
truly within 2 % of the best; then what it would announce must be one too.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from statistics import fmean, median
from typing import Any

import optuna
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from autotune.compose import resolve
from autotune.model.account import account
from autotune.model.advisor import Advisor
from autotune.model.evidence import evidence_of
from autotune.overrides import CONF
from autotune.runner import TrialRunner
from autotune.samples import Arm, ArmRun, UnitResult
from autotune.search_space import space_of
from autotune.settings import Settings
from autotune.space import Space
from autotune.status import Status
from autotune.study.ledger import Ledger
from autotune.trial import Trial, ranking
from autotune.worker.prompts import Prompt
from autotune.worker.protocol import Opened
from autotune.worker.serve import StepClock, counters, sample, serve
from benchmarks.timing import finish, table
from engine import SamplingParams
from tests.autotune.fake_engine import FakeEngine

SEEDS, PROMPTS, TOKENS, TRIALS = 20, 12, 48, 40
NEAR = 0.98
ENGINES: dict[str, dict[str, Any]] = {
    "K only": {"good": 12, "noise": 0.02, "chain": {"chance": 0.75, "row": 0.04}},
    "K, dear drafts": {"good": 12, "noise": 0.02, "chain": {"chance": 0.7, "row": 0.02, "level": 0.08}},
    "K and window": {"good": 12, "noise": 0.02, "chain": {"chance": 0.85, "row": 0.05, "window": 6}},
    "K and window, noisy": {"good": 12, "noise": 0.08, "chain": {"chance": 0.8, "row": 0.05, "window": 4}},
}
WIDE = ("method.search.prompt_lookup_min=null",
        "method.search.prompt_lookup_max={int: [2, 9]}")  # fmt: skip
ALONE = ("method.search.prompt_lookup_min=null", "method.search.prompt_lookup_max=null")


class Inline:
    """The worker's calls, answered in this process, each arm once a visit."""

    def __init__(self, options: Mapping[str, Any], prompts: Sequence[Prompt], seed: int = 0) -> None:
        self._engine = FakeEngine.load("none", **options)
        self._engine.rng.seed(seed)
        self._prompts = prompts
        self._arms: dict[str, Arm] = {}

    def open(self) -> Opened:
        return Opened(self._engine.environment(), {})

    def prepare(self, arms: Sequence[Arm], split: str) -> list[str]:
        self._arms = {arm.name: arm for arm in arms}
        return []

    def measure(self, unit: str, split: str, indices: Sequence[int], repeat: int, order: Sequence[str], *_: Any) -> Any:
        prompts = [self._prompts[index] for index in indices]
        return UnitResult(unit, repeat, tuple(order), {name: self._run(self._arms[name], prompts) for name in order})

    def _run(self, arm: Arm, prompts: Sequence[Prompt]) -> ArmRun:
        engine = self._engine
        engine.configure_speculation(dict(arm.speculative_config) if arm.speculative_config else None)
        clock = StepClock(engine.timing)
        outputs, wall = serve(engine, prompts, 1, clock.tick)
        return ArmRun(arm.name, wall, tuple(sample(each, None) for each in outputs), counters(engine), clock.seconds)


@dataclass(frozen=True)
class Outcome:
    """`arrived` is the number of the trial that was within 2 % of the best, None for never; `tokens` measured until
    then, `all_tokens` in the whole study. `announced` is the truth of the study's winner over that of the best.
    """

    arrived: int | None
    tokens: int
    measured: int
    all_tokens: int
    announced: float
    lost: bool
    account: Mapping[str, Any]


def settings_for(engine: str, seed: int, model: bool) -> Settings:
    extra = WIDE if "window" in engine else ALONE
    words = ["method=ngram", "method.search.num_speculative_tokens={int: [1, 16]}", *extra, f"study.seed={seed}",
             f"study.n_trials={TRIALS}", "study.resamples=100", f"study.model={str(model).lower()}",
             "tracking=none"]  # fmt: skip
    with initialize_config_dir(str(CONF), version_base="1.3"):
        plain: Any = OmegaConf.to_container(compose("config", overrides=words), resolve=True)
    plain.pop("experiment", None)
    found = resolve(plain)
    return replace(found, engine=replace(found.engine, options=dict(ENGINES[engine])))


def prompts_for(seed: int) -> list[Prompt]:
    rng = random.Random(seed)
    prompts = [[rng.randrange(900) for _ in range(6 + i % 2)] for i in range(PROMPTS)]
    params = SamplingParams(max_tokens=TOKENS, temperature=0.0)
    return [Prompt(f"p{i}", ids, params) for i, ids in enumerate(prompts)]


def session_for(settings: Settings, seed: int) -> Inline:
    return Inline(settings.engine.options, prompts_for(seed))


@cache
def truths(engine: str, seed: int) -> dict[tuple, float]:
    """The true factor of every configuration on the study's prompts: the simulation without noise."""
    settings = settings_for(engine, seed, False)
    settings = replace(settings, engine=replace(settings.engine, options={**settings.engine.options, "noise": 0.0}))
    space, worker = space_of(settings), session_for(settings, seed)
    runner = runner_for(settings, worker)
    trials = [runner.run(i, space.parameters(point)).trial for i, point in enumerate(space.grid())]
    return {trial.key: trial.speedup or 0.0 for trial in trials}


def runner_for(settings: Settings, worker: Any) -> TrialRunner:
    return TrialRunner(worker, settings, {"search": PROMPTS, "confirm": PROMPTS}, lambda done, planned: None)


def study(engine: str, seed: int, model: bool) -> Outcome:
    settings, truth = settings_for(engine, seed, model), truths(engine, seed)
    space = space_of(settings)
    ledger = ledger_in(space, settings)
    tokens = search(settings, space, ledger, runner_for(settings, session_for(settings, seed)))
    trials = ledger.finished()
    return outcome(trials, tokens, truth, account(trials, None))


def ledger_in(space: Space, settings: Settings) -> Ledger:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    found = optuna.create_study(storage=optuna.storages.InMemoryStorage(), direction="maximize")
    ledger = Ledger(found, space, settings.study)
    ledger.begin()
    return ledger


def search(settings: Settings, space: Space, ledger: Ledger, runner: TrialRunner) -> dict[int, int]:
    """As `autotune.tune` does it; the tokens that every trial measured."""
    advisor, tokens = Advisor(settings, space), dict[int, int]()
    while True:
        trials = ledger.finished()
        advisor.learn(trials)
        measured = sum(trial.status is not Status.PREDICTED for trial in trials)
        if measured >= min(TRIALS, space.size or TRIALS) or advisor.nothing_left:
            return tokens
        advisor.propose(ledger)
        number, parameters = ledger.ask()
        left_out = advisor.left_out(number, parameters)
        if left_out is not None:
            ledger.tell(left_out)
            continue
        found = runner.run(number, parameters, trials)
        tokens[number] = sum(r.tokens for u in found.results for run in u.runs.values() for r in run.requests)
        prediction = advisor.prediction(parameters)
        ledger.tell(replace(found.trial, prediction=prediction, evidence=evidence_of(found.results)))


def outcome(trials: list[Trial], tokens: dict[int, int], truth: dict[tuple, float], told: Mapping[str, Any]) -> Outcome:
    best = max(truth.values())
    measured = [trial for trial in trials if trial.number in tokens]
    near = [i for i, trial in enumerate(measured) if truth[trial.key] >= NEAR * best]
    spent = sum(tokens[trial.number] for trial in measured[: near[0] + 1]) if near else sum(tokens.values())
    left = {trial.key for trial in trials if trial.status is Status.PREDICTED} - {trial.key for trial in measured}
    lost = max(truth, key=lambda key: truth[key]) in left
    announced = truth[ranking(trials)[0].key] / best
    return Outcome(near[0] + 1 if near else None, spent, len(measured), sum(tokens.values()), announced, lost, told)


def main() -> None:
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else SEEDS
    rows, results = [], {}
    for engine in ENGINES:
        for model in (True, False):
            found = [study(engine, seed, model) for seed in range(seeds)]
            row = summary(found)
            rows.append([engine, "with" if model else "without", *row.values()])
            results[f"{engine}, {'with' if model else 'without'} the model"] = row
            print(rows[-1], file=sys.stderr)
    table(f"to within 2 % of the best, {seeds} seeds", ["engine", "model", *row], rows)
    finish("model_value", {"seeds": seeds, "results": results})


def summary(found: Sequence[Outcome]) -> dict[str, float | None]:
    """Medians over the seeds, and how often."""
    pairs = [pair for each in found for pair in each.account["predictions"]]
    return {
        "trials to arrive": median(each.arrived or TRIALS for each in found),
        "worst": max(each.arrived or TRIALS for each in found),
        "tokens to arrive": median(each.tokens for each in found),
        "trials": median(each.measured for each in found),
        "tokens": median(each.all_tokens for each in found),
        "winner within 2 %": fmean(each.announced >= NEAR for each in found),
        "best left out": fmean(each.lost for each in found),
        "predictions": len(pairs),
        "coverage": fmean(pair["covered"] for pair in pairs) if pairs else None,
        "mean abs log error": fmean(each.account["mean_abs_log_error"] for each in found) if pairs else None,
    }


if __name__ == "__main__":
    main()
