"""Does the tuner's 95 % interval mean what it says, and how often does pruning stop a configuration that is as good?

    python -m benchmarks.calibration coverage   [--count 50]   studies in which every candidate equals the baseline
    python -m benchmarks.calibration agreement  [--count 10]   studies against a long independent measurement
    python -m benchmarks.calibration fake       [--count 200]  studies like those of `coverage`, of a simulated engine
    python -m benchmarks.calibration simulated                 400 races with drawn noise of several kinds
    python -m benchmarks.calibration summary                   the counts so far

Every study is written to --file as soon as it ends, and those that are there are not run again, so this can be run in
pieces. The races are those of `coverage`: every trial after a study's first runs against the best so far.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from autotune.environment import environment
from autotune.inputs import check
from autotune.result import Result
from autotune.status import Status
from autotune.trial import Trial

RESULTS = Path(__file__).with_name("results")
MORE_EQUAL = ("study.n_trials=4", "search.engine.placebo={int: [0, 3]}")  # so that three are confirmed
EQUAL = (
    "method=none", "workload=chat", "engine.loader=benchmarks.placebo:load", "+engine.placebo=0",
    "+search.engine.placebo={int: [0, 1]}", "workload.num_prompts=8", "workload.num_confirm_prompts=8",
    "workload.max_tokens=12", "study.n_trials=2", "study.resamples=2000",
)  # fmt: skip
REPEATED = (
    "method=ngram", "workload=summarization", "method.search=null", "method.num_speculative_tokens=3",
    "+search.method.num_speculative_tokens={categorical: [2, 3]}", "workload.num_prompts=8",
    "workload.num_confirm_prompts=16", "workload.max_tokens=40", "study.n_trials=2",
)  # fmt: skip
FAKE = {"noise": 0.05}
LONG = 80  # prompts of the independent measurement, none of which a study sees


class Book:
    """The JSON file: a part has an entry a study, by its number."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.plain: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {"parts": {}}

    def part(self, name: str) -> dict[str, Any]:
        return self.plain["parts"].setdefault(name, {})

    def write(self, part: str, key: str, entry: Any) -> None:
        self.part(part)[key] = entry
        self.plain["date"] = datetime.now(UTC).isoformat(timespec="seconds")
        self.plain["environment"] = environment({})
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(json.dumps(self.plain, indent=1) + "\n")


def entry_of(result: Result, trials: Sequence[Trial]) -> dict[str, Any]:
    """What is kept of a study."""
    return {
        "speedup": result.speedup,
        "interval": result.interval,
        "parameters": dict(result.parameters),
        "trials": [{"status": str(t.status), "speedup": t.speedup, "interval": t.interval} for t in trials],
        "ties": result.details.get("ties"),
        "trust": result.details.get("trust"),
        "seconds": result.details.get("seconds"),
    }


def run_part(book: Book, part: str, words: Sequence[str], count: int, conf: Path | None = None) -> None:
    """The studies of a part that are not there yet."""
    from benchmarks.short_studies import ShortStudies

    missing = [i for i in range(count) if str(i) not in book.part(part)]
    if not missing:
        return
    with tempfile.TemporaryDirectory() as folder:
        studies = ShortStudies(words, missing, Path(folder), conf)
        try:
            for number in missing:
                book.write(part, str(number), entry_of(*studies.run(number)))
                print(f"{part} {number + 1}/{count}: {book.part(part)[str(number)]['interval']}", flush=True)
        finally:
            studies.close()


def measure_long(book: Book, count: int) -> None:
    """Every configuration that a study may announce, on many prompts that none of them sees."""
    from autotune.inputs import worker_for
    from autotune.runner import TrialRunner
    from benchmarks.short_studies import settings_for

    settings = settings_for([*REPEATED, "tracking=none", f"workload.seed={count + 1000}",
                             f"workload.num_confirm_prompts={LONG}", "load.confirm_passes=1"])  # fmt: skip
    inputs = check(settings, searching=True)
    worker = worker_for(settings, inputs)
    try:
        for value in inputs.space.dimensions[0].choices:
            if str(value) not in book.part("long"):
                runner = TrialRunner(worker, settings, inputs.counts, lambda done, planned: None, split="confirm")
                trial = runner.run(0, {"method.num_speculative_tokens": value}).trial
                book.write("long", str(value), {"speedup": trial.speedup, "interval": trial.interval})
                print(f"long {value}: {trial.speedup} {trial.interval}", flush=True)
    finally:
        worker.close()


def holds(interval: Sequence[float] | None, value: float) -> bool:
    return interval is not None and interval[0] <= value <= interval[1]


def covered(entries: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """How often the announced interval held 1.0, where 1.0 is the truth."""
    announced = [entry for entry in entries if entry["interval"]]
    return {
        "studies": len(announced),
        "hold_1": sum(holds(entry["interval"], 1.0) for entry in announced),
        "mean_width": float(np.mean([math.log(e["interval"][1] / e["interval"][0]) for e in announced] or [0.0])),
        "confirmed_wrongly": sum(entry["interval"][0] > 1 for entry in announced),
        "largest_in_search": max((t["speedup"] or 0.0 for e in announced for t in e["trials"]), default=0.0),
    }


def races(entries: Sequence[dict[str, Any]]) -> dict[str, int]:
    """Trials that ran against an incumbent as good as themselves, and how many of them were stopped."""
    run = [trial for entry in entries for trial in entry["trials"][1:]]
    ended = [trial["status"] for trial in run if trial["status"] in (Status.COMPLETE, Status.PRUNED)]
    return {"races": len(ended), "pruned": ended.count(Status.PRUNED)}


def agreed(entries: Sequence[dict[str, Any]], long: dict[str, Any]) -> dict[str, int]:
    """How often a study's interval held what the long measurement found for the configuration it announced."""
    truths = [long[str(e["parameters"]["num_speculative_tokens"])]["speedup"] for e in entries]
    return {
        "studies": len(entries),
        "agree": sum(holds(e["interval"], t) for e, t in zip(entries, truths, strict=True)),
    }


def summary(book: Book) -> dict[str, Any]:
    parts = {name: list(book.part(name).values()) for name in ("coverage", "agreement", "fake", "simulated")}
    found: dict[str, Any] = {}
    for name in ("coverage", "fake"):
        if parts[name]:
            found[name] = {**covered(parts[name]), **races(parts[name])}
    if parts["agreement"] and len(book.part("long")) > 1:
        found["agreement"] = agreed(parts["agreement"], book.part("long"))
    if parts["simulated"]:
        found["simulated"] = book.part("simulated")
    return found


def coverage(book: Book, count: int) -> None:
    run_part(book, "coverage", EQUAL, count)


def agreement(book: Book, count: int) -> None:
    run_part(book, "agreement", REPEATED, count)
    measure_long(book, count)


def fake(book: Book, count: int) -> None:
    """Studies of equal configurations on a simulated engine, some of which the tests run too."""
    from benchmarks.model_value import Inline, prompts_for
    from benchmarks.short_studies import run_study, settings_for

    for number in (i for i in range(count) if str(i) not in book.part("fake")):
        with tempfile.TemporaryDirectory() as folder:
            settings = settings_for([*EQUAL, *MORE_EQUAL, "tracking=none", f"outputs={folder}", f"study.seed={number}"])
            inputs = check(settings, searching=True)
            worker = Inline(FAKE, prompts_for(number), seed=number)
            found = run_study(settings, inputs, worker, Path(folder) / f"study-{number}")
        entry = entry_of(*found)
        trials = [{key: trial[key] for key in ("status", "speedup")} for trial in entry["trials"]]
        book.write("fake", str(number), {"interval": entry["interval"], "trials": trials})


def simulated(book: Book, count: int) -> None:
    """Races between equal configurations, `count` over all kinds of noise."""
    from benchmarks.simulated_races import KINDS, rate

    each = count // len(KINDS)
    for kind in KINDS:
        book.write("simulated", kind.name, {"races": each, "pruned": rate(kind, each)})


PARTS: dict[str, tuple[Callable[[Book, int], None], int]] = {
    "coverage": (coverage, 50),
    "agreement": (agreement, 10),
    "fake": (fake, 200),
    "simulated": (simulated, 400),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=[*PARTS, "summary"])
    parser.add_argument("--count", type=int)
    parser.add_argument("--file", type=Path, default=RESULTS / f"{datetime.now(UTC):%Y-%m-%d}-calibration.json")
    words = parser.parse_args()
    book = Book(words.file)
    if words.part in PARTS:
        run, count = PARTS[words.part]
        run(book, words.count or count)
    print(json.dumps({"benchmark": "calibration", **summary(book)}))


if __name__ == "__main__":
    main()
