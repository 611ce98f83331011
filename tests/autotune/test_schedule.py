"""`study=schedule`: the choice on known gains, its crossovers, its exports, and a run on an engine of known truth."""

from __future__ import annotations

import json

import numpy as np
import pytest

from autotune import dialect
from autotune.errors import UsageError
from autotune.schedule import table
from autotune.schedule.choose import (
    best_cutoff,
    best_fixed,
    best_schedule,
    buckets,
    choose,
    default_batches,
    unsure,
)  # fmt: skip
from autotune.schedule.plan import plan_of
from tests.autotune.conftest import Commands
from tests.autotune.test_conf import settings_for

TOKENS = (0, 1, 3)
MEANS = {1: [0.0, 0.2, 0.5], 2: [0.0, 0.2, 0.1], 4: [0.0, -0.1, 0.05], 8: [0.0, -0.2, -0.4]}


def test_the_best_schedule_never_rises() -> None:
    assert best_schedule(MEANS, TOKENS) == [3, 1, 0, 0]  # 3 tokens at 4 would be best there, but rise after 1 at 2


def test_equal_lengths_are_the_shorter() -> None:
    assert best_schedule({1: [0.0, 0.300, 0.303]}, TOKENS) == [1]
    assert best_fixed({1: [0.0, 0.300, 0.303]}, TOKENS) == 1
    assert best_fixed(MEANS, TOKENS) == 3


def test_crossovers_have_intervals() -> None:
    rng = np.random.default_rng(1)
    gains = {batch: [np.array(row) + 0.05 * rng.normal(size=(8, 3))] for batch, row in MEANS.items()}
    choice = choose(gains, TOKENS, (1.0,), confidence=0.95, resamples=300, seed=0)
    three, one = choice.crossovers
    assert choice.schedule == [3, 1, 0, 0]
    assert (three.tokens, three.batch, three.low) == (3, 2, 2)
    assert (one.tokens, one.batch) == (1, 4)
    assert one.low <= 4


def windows(row: list[float], noise: float, seed: int, count: int = 6) -> np.ndarray:
    """[windows, draft lengths]; those of no speculation have no noise, as they are compared with themselves."""
    scatter = noise * np.random.default_rng(seed).normal(size=(count, len(row)))
    return np.array(row) + scatter * (np.array(row) != 0)


def test_the_schedule_is_best_over_all_contexts_by_weight() -> None:
    short, long = {1: [0.0, 0.1, 0.4], 4: [0.0, 0.1, 0.3]}, {1: [0.0, 0.1, 0.4], 4: [0.0, 0.1, -0.3]}
    gains = {batch: [windows(short[batch], 0.01, 1), windows(long[batch], 0.01, 2)] for batch in short}
    known = {"confidence": 0.95, "resamples": 200, "seed": 0}
    assert choose(gains, TOKENS, (0.9, 0.1), **known).schedule == [3, 3]
    assert choose(gains, TOKENS, (0.1, 0.9), **known).schedule == [3, 1]


def test_unsure_is_what_is_not_known_and_matters() -> None:
    """At 4 two lengths are as good as each other to within 1 %; at 8 there is so much noise that nothing is known."""
    rows = {1: ([0.0, 0.2, 0.5], 0.02), 4: ([0.0, 0.2, 0.2], 0.005), 8: ([0.0, 0.1, 0.12], 0.2)}
    gains = {batch: [windows(row, noise, batch)] for batch, (row, noise) in rows.items()}
    choice = choose(gains, TOKENS, (1.0,), confidence=0.95, resamples=300, seed=0)
    assert unsure(choice.schedule, gains, TOKENS, (1.0,), 0.95, 0.02) == [8]
    assert unsure(choice.schedule, gains, TOKENS, (1.0,), 0.95, 0.001) == [4, 8]
    assert unsure(choice.schedule, gains, TOKENS, (1.0,), 0.95, 5.0) == []
    assert choice.agreement(0) == 1.0


def test_the_best_cutoff() -> None:
    """One length up to a batch size: 3 tokens bring 0.5 + 0.1 + 0.05 up to 4."""
    assert best_cutoff(MEANS, TOKENS) == (3, 4)
    assert best_cutoff({1: [0.0, -0.1, -0.2]}, TOKENS) == (0, 0)
    assert best_cutoff({1: [0.0, 0.3, 0.1], 2: [0.0, 0.3, 0.1]}, TOKENS) == (1, 2)


def test_a_cutoff_is_what_the_older_dialect_gets() -> None:
    config = {"method": "ngram", "num_speculative_tokens": 5}
    exported = dialect.schedules(config, [[1, 1, 5], [2, 3, 3], [4, 8, 1]], [[1, 3, 3], [4, 8, 0]])
    assert exported["current"]["num_speculative_tokens_per_batch_size"] == [[1, 1, 5], [2, 3, 3], [4, 8, 1]]
    assert exported["0.12"] == {"method": "ngram", "num_speculative_tokens": 3, "disable_by_batch_size": 3}
    assert dialect.schedules(config, [[1, 8, 5]], [[1, 8, 5]])["0.12"] == config


@pytest.mark.parametrize(("most", "sizes"), [(1, [1]), (6, [1, 2, 4, 6]), (8, [1, 2, 4, 8])])
def test_batch_sizes(most: int, sizes: list[int]) -> None:
    assert default_batches(most) == sizes


def test_exports_of_both_dialects() -> None:
    parts = buckets([1, 2, 4, 8], [3, 3, 1, 0])
    assert parts == [[1, 3, 3], [4, 7, 1], [8, 8, 0]]
    config = {"method": "ngram", "num_speculative_tokens": 3, "num_speculative_tokens_per_batch_size": parts}
    plain = {"method": "ngram", "num_speculative_tokens": 3}
    assert dialect.schedules(config, parts) == {"current": config, "0.12": {**plain, "disable_by_batch_size": 7}}
    assert dialect.schedules(plain, [[1, 8, 3]]) == {"current": plain, "0.12": plain}
    assert "0.12" not in dialect.schedules(config, [[1, 1, 3], [2, 8, 0]])


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["load=single"], "add load=closed_loop"),
        (["load=closed_loop", "method=none"], "needs one method that drafts"),
        (["load=closed_loop", "study.batch_sizes=[0]"], "study.batch_sizes"),
        (["load=closed_loop", "study.batch_sizes=[1,99]"], "more than engine.max_num_seqs"),
        (["load=closed_loop", "load.passes=1"], "one has no interval"),
        (["load=closed_loop", "study.storage='postgresql://u@h/d'"], "is made by one process"),
        (["load=closed_loop", "study.context_lengths=[0]"], "study.context_lengths"),
        (["load=closed_loop", "study.context_lengths=[64,64]"], "may stand there once"),
        (["load=closed_loop", "study.context_weights=[1]"], "study.context_lengths is null"),
        (["load=closed_loop", "study.context_lengths=[64]", "study.context_weights=[1,2]"], "study.context_weights"),
        (["load=closed_loop", "study.context_lengths=[64]", "study.context_weights=[0]"], "study.context_weights"),
        (["load=closed_loop", "study.context_lengths=[99]", "engine.max_model_len=100"], "more than engine.max_model"),
    ],
)
def test_what_has_no_schedule(words: list[str], text: str) -> None:
    with pytest.raises(UsageError, match="study") as caught:
        plan_of(settings_for("study=schedule", *words))
    assert text in str(caught.value)


def test_a_schedule_is_found_confirmed_and_exported(commands: Commands) -> None:
    """A drafted row costs 0.05 of a step alone and 1.45 of one among eight: many tokens alone, none at eight."""
    done = commands.tune(
        "study=schedule", "load=closed_loop", "load.passes=3", "load.confirm_passes=3", "engine.max_num_seqs=8",
        "study.num_speculative_tokens=[1,3,5]", "+engine.chain={crowd: 4.0}",
    )  # fmt: skip
    assert done.status == 0, done.err
    best = json.loads((done.folder / "best.json").read_text())
    found = best["details"]["schedule"]
    assert [row["tokens"] for row in found["batches"]] == [3, 3, 3, 0]
    assert found["buckets"] == [[1, 7, 3], [8, 8, 0]]
    assert found["crossovers"] == [{"tokens": 3, "batch": 8, "low": 8, "high": 8}]
    low, high = found["confirmed"]["against_best_fixed"]["interval"]
    assert 1 < low <= high < 1.5
    assert best["speculative_config"]["num_speculative_tokens_per_batch_size"] == [[1, 7, 3], [8, 8, 0]]
    assert json.loads((done.folder / "speculative_config.0.12.json").read_text())["disable_by_batch_size"] == 7
    assert "requests in flight" in done.out
    assert best["confirmed"]


def test_the_ends_of_a_crossover_in_words() -> None:
    fall = {"tokens": 4, "batch": 8, "low": 4, "high": None}
    assert table._fall(fall) == "4 tokens pay below batch size 8 (interval of the crossover: 4 to beyond)."
    never = table._fall({"tokens": 4, "batch": None, "low": None, "high": None})
    assert never.endswith("(in no bootstrap sample is there a crossover).")


def test_where_nothing_pays_nothing_is_deployed(commands: Commands) -> None:
    done = commands.tune("study=schedule", "load=closed_loop", "load.passes=2", "load.confirm_passes=2",
                         "study.batch_sizes=[1,4]", "study.num_speculative_tokens=[2]", "engine.good=0")  # fmt: skip
    assert done.status == 1
    assert "At no measured batch size" in done.out
    assert json.loads((done.folder / "speculative_config.json").read_text()) is None
