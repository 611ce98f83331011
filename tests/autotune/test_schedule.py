"""`study=schedule`: the choice on known gains, its crossovers, its exports, and a run on an engine of known truth."""

from __future__ import annotations

import json

import numpy as np
import pytest

from autotune import dialect
from autotune.errors import UsageError
from autotune.schedule import table
from autotune.schedule.choose import best_fixed, best_schedule, buckets, crossovers, default_batches
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
    gains = {batch: np.array(row) + 0.05 * rng.normal(size=(8, 3)) for batch, row in MEANS.items()}
    schedule, (three, one) = crossovers(gains, TOKENS, confidence=0.95, resamples=300, seed=0)
    assert schedule == [3, 1, 0, 0]
    assert (three.tokens, three.batch, three.low) == (3, 2, 2)
    assert (one.tokens, one.batch) == (1, 4)
    assert one.low <= 4


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
