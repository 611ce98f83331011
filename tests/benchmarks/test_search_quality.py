"""Studies played on a recorded grid find what is true of it. The recording is of a simulated engine."""

import pytest

from autotune import arms
from autotune.inputs import check
from autotune.samples import BASELINE
from autotune.worker.prompts import Prompt
from benchmarks import search_quality
from benchmarks.grid import begun, settings_for, visits
from benchmarks.model_value import ENGINES, Inline
from benchmarks.playback import Grid, Playback, beside, config_name
from engine import SamplingParams

PASSES = 2


@pytest.fixture(scope="module")
def recorded():
    settings = settings_for("ngram")
    inputs = check(settings, searching=True)
    prompts = [Prompt(f"p{i}", list(range(i, i + 6)), SamplingParams(max_tokens=24)) for i in range(24)]
    kept = begun("ngram", inputs.space)
    for _ in visits(kept, Inline(ENGINES["K and window"], prompts), settings, inputs.counts, PASSES):
        pass
    return kept, settings


@pytest.fixture(scope="module")
def field(recorded, tmp_path_factory):
    import pickle

    path = tmp_path_factory.mktemp("grid") / "ngram.pkl"
    path.write_bytes(pickle.dumps(recorded[0]))
    return search_quality.field_of(path)


def test_a_recording_has_every_configuration_on_every_prompt_once_a_pass(recorded):
    kept, settings = recorded
    grid = Grid(kept, settings)
    assert len(grid.names) == len(set(grid.names.values())) == 48
    assert len(grid.visits) == 48 * PASSES * (16 + 24)
    assert grid.passes == PASSES


def test_what_is_there_is_not_measured_again(recorded):
    kept, settings = recorded
    assert list(visits(kept, None, settings, {"search": 16, "confirm": 24}, PASSES)) == []


def test_a_played_visit_is_the_recorded_one(recorded):
    kept, settings = recorded
    grid = Grid(kept, settings)
    pair = [arms.baseline(settings), arms.candidate(settings, kept["points"][5], "candidate")]
    worker = Playback(grid, [0], 0)
    worker.prepare(pair, "search")
    found = worker.measure("prompt-3", "search", [3], 0, ("candidate", BASELINE))
    name = config_name(pair[1].speculative_config)
    assert found.runs["candidate"].requests == grid.visits["search", 0, 3, name].runs[name].requests
    assert worker.tokens == 2 * found.runs[BASELINE].requests[0].tokens


def test_runs_of_two_visits_keep_their_gains_over_their_own_baselines(recorded):
    kept, settings = recorded
    grid = Grid(kept, settings)
    names = list(grid.names.values())
    mine, other = (grid.visits["search", turn, 3, names[turn]] for turn in (0, 1))
    run = beside(mine.runs[BASELINE], other, names[1], "runner_up")
    own = other.runs[names[1]].requests[0].tpot / other.runs[BASELINE].requests[0].tpot
    assert run.requests[0].tpot / mine.runs[BASELINE].requests[0].tpot == pytest.approx(own, rel=1e-9)
    assert run.arm == "runner_up"


def test_a_study_on_the_recording_comes_near_the_best_and_its_tokens_are_counted(field, tmp_path):
    found = search_quality.play(field, "model", 1, None, tmp_path)
    assert found.of_best > 0.95
    assert 0 < found.share < 1
    assert found.truth == pytest.approx(found.speedup, rel=0.2)


def test_the_truth_of_the_best_is_the_largest_of_all(field):
    assert len(field.truths) == 48
    assert field.best.factor == max(each.factor for each in field.truths.values())
