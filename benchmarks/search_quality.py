"""Does the tuner find what the exhaustive grid finds, with a fifth of its measured tokens?

    python -m benchmarks.search_quality FILE ... [--seeds 10] [--trials N] [--write]

FILEs are recordings of `benchmarks.grid`, of one method each. Whole studies, from the first trial to the confirmed
winner, are played on them: with the model of cost and acceptance, with TPE alone, and at random. The first half of the
recorded passes is what studies measure; the truth, and with it the grid's best, comes from the second half.
"""

from __future__ import annotations

import argparse
import json
import pickle
import tempfile
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from autotune.inputs import check
from autotune.stats import Interval
from benchmarks.grid import settings_for
from benchmarks.playback import Grid, Playback, name_of
from benchmarks.short_studies import run_study
from benchmarks.timing import finish, table

RESULTS = Path(__file__).with_name("results")
NEAR, SHARE = 0.98, 0.2
WAYS: dict[str, tuple[str, ...]] = {
    "model": (),
    "TPE": ("study.model=false",),
    "random": ("study.model=false", "study.startup_trials=1000"),
}


@dataclass(frozen=True)
class Outcome:
    """`of_best`: the truth of the announced configuration over that of the grid's best; `held_out`: its truth on the
    prompts of the confirmation alone; `share`: the study's measured tokens over the grid's, `of_one_pass` over those of
    a grid that measures the study's own search prompts once, each configuration with a baseline of its own. Of the
    model's `predictions` so many `covered` what was then measured, with 90 % intervals.
    """

    seed: int
    parameters: dict[str, Any]
    speedup: float
    interval: tuple[float, float]
    truth: float
    held_out: float
    of_best: float
    trials: int
    tokens: int
    share: float
    of_one_pass: float
    predictions: int
    covered: int

    @property
    def passed(self) -> bool:
        return self.of_best >= NEAR and self.share <= SHARE


@dataclass(frozen=True)
class Field:
    """One recording and what is true of it."""

    method: str
    grid: Grid
    truths: dict[str, Interval]
    held_out: dict[str, Interval]
    tokens: int
    one_pass: int

    @property
    def best(self) -> Interval:
        return max(self.truths.values(), key=lambda each: each.mean)


def field_of(path: Path) -> Field:
    kept = pickle.loads(path.read_bytes())
    settings = settings_for(kept["method"])
    grid = Grid(kept, settings)
    half = grid.passes // 2
    later = range(half, grid.passes)
    searched = [result for place, result in grid.visits.items() if place[:2] == ("search", half)]
    one_pass = sum(request.tokens for result in searched for run in result.runs.values() for request in run.requests)
    truths = grid.truths(settings, later), grid.truths(settings, later, ("confirm",))
    return Field(kept["method"], grid, *truths, grid.tokens(later), one_pass)


def play(found: Field, way: str, seed: int, trials: int | None, folder: Path) -> Outcome:
    words = [f"study.seed={seed}", "study.knob_visits=0", *WAYS[way], f"outputs={folder}"]
    settings = settings_for(found.method, *words, *([f"study.n_trials={trials}"] if trials else []))
    inputs = check(settings, searching=True)
    worker = Playback(found.grid, range(found.grid.passes // 2), seed)
    result, measured = run_study(settings, inputs, worker, folder / f"{found.method}-{way}-{seed}")
    name = name_of(settings, measured[result.details["trial"]].parameters)
    truth, held_out = found.truths[name].factor, found.held_out[name].factor
    told = result.details["model"]["predictions"]
    assert result.speedup
    assert result.interval
    return Outcome(
        seed, dict(result.parameters), result.speedup, result.interval, truth, held_out, truth / found.best.factor,
        sum(bool(trial.gains) for trial in measured), worker.tokens, worker.tokens / found.tokens,
        worker.tokens / found.one_pass, len(told), sum(pair["covered"] for pair in told),
    )  # fmt: skip


def summary(found: list[Outcome]) -> dict[str, Any]:
    return {
        "within 2 %": sum(each.of_best >= NEAR for each in found),
        "and a fifth": sum(each.passed for each in found),
        "of": len(found),
        "of best, median": median(each.of_best for each in found),
        "of best, worst": min(each.of_best for each in found),
        "trials": median(each.trials for each in found),
        "share of tokens": median(each.share for each in found),
        "largest share": max(each.share for each in found),
        "of one pass": median(each.of_one_pass for each in found),
        "interval holds truth": sum(each.interval[0] <= each.held_out <= each.interval[1] for each in found),
        "predictions": sum(each.predictions for each in found),
        "covered": sum(each.covered for each in found),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--trials", type=int, help="study.n_trials; else the study's own default")
    parser.add_argument("--write", action="store_true", help="keep the figures in benchmarks/results")
    words = parser.parse_args()
    told: dict[str, Any] = {}
    for found in map(field_of, words.files):
        told[found.method] = compare(found, words.seeds, words.trials)
    plain = {"date": f"{datetime.now(UTC):%Y-%m-%d}", "seeds": words.seeds, "trials": words.trials, "methods": told}
    if words.write:
        name = f"{plain['date']}-search-quality{'' if words.trials is None else f'-{words.trials}'}.json"
        RESULTS.joinpath(name).write_text(json.dumps(plain, indent=1) + "\n")
    finish("search_quality", {name: each["ways"] for name, each in told.items()})


def compare(found: Field, seeds: int, trials: int | None) -> dict[str, Any]:
    ways: dict[str, Any] = {}
    rows: list[list[Any]] = []
    for way in WAYS:
        with tempfile.TemporaryDirectory() as folder:
            outcomes = [play(found, way, seed, trials, Path(folder)) for seed in range(seeds)]
        row = summary(outcomes)
        ways[way] = {**row, "studies": [asdict(each) for each in outcomes]}
        rows.append([way, *row.values()])
    best = found.best
    title = f"{found.method}: {len(found.truths)} configurations, the best {best.factor:.3f}x"
    table(title, ["", *summary(outcomes)], rows)
    grid = {name: [each.factor, *(each.factor_bounds or ())] for name, each in found.truths.items()}
    passes = found.grid.passes
    return {"ways": ways, "grid": grid, "grid_tokens": found.tokens, "passes_for_truth": passes - passes // 2,
            "environment": found.grid.environment}  # fmt: skip


if __name__ == "__main__":
    main()
