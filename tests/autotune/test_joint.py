"""Several methods in one study: the right one is found, and the keys of one never reach another."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
from pathlib import Path
from typing import Any

import optuna
import pytest

from autotune.dimension import Dimension
from autotune.errors import UsageError
from autotune.joint import with_methods
from autotune.method_dimension import MethodDimension
from autotune.settings import StudySettings
from autotune.space import Space
from autotune.status import Status
from autotune.study.grown import Growth
from autotune.study.ledger import Ledger
from autotune.tree_dimension import TreeDimension
from autotune.trial import Trial
from engine.tree.best_first import best_first, by_depth_and_rank, expected_accepted
from engine.tree.literal import MAX_NODES
from engine.tree.token_tree import TokenTree

TREE, TOKENS = "method.speculative_token_tree", "method.num_speculative_tokens"


def length(owner: str, high: int) -> Dimension:
    return Dimension(TOKENS, "int", 1, high, owner=owner)


def joint() -> Space:
    """Lookup is best at 3 tokens and a window of 2, a head at 6, whose tree has nothing to add."""
    lookup = Space(
        (
            length("lookup", 10),
            Dimension("method.low", "int", 1, 4, owner="lookup"),
            Dimension("method.high", "int", 0, 4, plus="method.low", owner="lookup"),
        ),
        {TOKENS: 4, "method.low": 2, "method.high": 5},
    )
    head = Space((length("head", 8),), {TOKENS: 2})
    engine = Dimension("engine.block", "categorical", choices=(16, 32))
    return Space((MethodDimension({"lookup": lookup, "head": head}), engine), {"engine.block": 32})


def speed(parameters: dict[str, Any]) -> float:
    if parameters["method"] == "head":
        return 2.0 - 0.05 * abs(parameters[TOKENS] - 6)
    return 1.6 - 0.05 * abs(parameters[TOKENS] - 3) - 0.02 * abs(parameters["method.low"] - 2)


def settings(n_trials: int = 40, seed: int = 0) -> StudySettings:
    values = {"name": None, "storage": None, "resume": "auto", "n_trials": n_trials, "startup_trials": 6, "seed": seed}
    limits = {"prune_alpha": 0.05, "prune_min_units": 5, "confidence": 0.95, "resamples": 500}
    given = {**values, **limits, "call_limit": 60.0, "load_limit": 60.0, "max_failures": 3}
    return StudySettings(**given)  # type: ignore[arg-type]


def open_ledger(path: Path, space: Space, study_settings: StudySettings) -> Ledger:
    storage = optuna.storages.RDBStorage(f"sqlite:///{path / 'study.db'}")
    study = optuna.create_study(storage=storage, study_name="s", direction="maximize", load_if_exists=True)
    ledger = Ledger(study, space, study_settings)
    ledger.begin()
    return ledger


def ask(ledger: Ledger) -> tuple[int, dict[str, Any]]:
    asked = ledger.ask()
    assert asked is not None
    return asked


def run(ledger: Ledger, trials: int) -> list[Trial]:
    for _ in range(trials):
        number, parameters = ask(ledger)
        ledger.tell(Trial(number, parameters, Status.COMPLETE, speedup=speed(parameters)))
    return ledger.finished()


def test_the_points_are_those_of_the_methods_added_up() -> None:
    space = joint()
    assert space.size == (10 * 4 * 5 + 8) * 2
    grid = space.grid()
    assert len(grid) == space.size
    assert all(space.coordinates(space.parameters(point)) == point for point in grid)


def test_every_method_begins_as_configured_once() -> None:
    space = joint()
    lookup, head = map(space.parameters, space.starts())
    assert lookup == {"method": "lookup", TOKENS: 4, "method.low": 2, "method.high": 5, "engine.block": 32}
    assert head == {"method": "head", TOKENS: 2, "engine.block": 32}


def test_keys_never_leak_between_methods(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path, joint(), settings())
    own = {"lookup": {TOKENS, "method.low", "method.high"}, "head": {TOKENS}}
    for trial in run(ledger, 40):
        assert set(trial.parameters) == {"method", "engine.block"} | own[trial.parameters["method"]]
    for frozen in ledger._study.trials:
        others = {"lookup": "head.", "head": "lookup."}[frozen.params["method"]]
        assert not any(name.startswith(others) for name in frozen.params)
        assert joint().has(frozen.params)


def test_the_right_method_and_values_are_found(tmp_path: Path) -> None:
    found = []
    for seed in range(3):
        (tmp_path / str(seed)).mkdir()
        trials = run(open_ledger(tmp_path / str(seed), joint(), settings(seed=seed)), 40)
        found.append(max(trials, key=lambda trial: trial.speedup or 0).parameters)
    assert all(best["method"] == "head" for best in found)
    assert all(abs(best[TOKENS] - 6) <= 1 for best in found)


def test_a_joint_study_goes_on_as_if_nothing_had_happened(tmp_path: Path) -> None:
    for name in ("whole", "parts"):
        (tmp_path / name).mkdir()
    whole = run(open_ledger(tmp_path / "whole", joint(), settings()), 12)
    for _ in range(12):
        parts = run(open_ledger(tmp_path / "parts", joint(), settings()), 1)
    assert [trial.parameters for trial in parts] == [trial.parameters for trial in whole]


def test_the_simpler_method_comes_first_whatever_its_values() -> None:
    space = joint()
    lookup = {"method": "lookup", TOKENS: 10, "method.low": 4, "method.high": 8, "engine.block": 32}
    head = {"method": "head", TOKENS: 1, "engine.block": 16}
    assert space.simplicity(lookup) < space.simplicity(head)
    assert space.simplicity({**lookup, TOKENS: 9}) < space.simplicity(lookup)


CHANCES = ((0.5, 0.3, 0.1), (0.6, 0.2, 0.1), (0.4, 0.1, 0.05))


def tree_space() -> Space:
    tree = TreeDimension(TREE, TOKENS, 3, 3, 12, length("head", 4), owner="head")
    branches = {
        "lookup": Space((length("lookup", 4),), {TOKENS: 2}),
        "head": Space((tree,), {TREE: None, TOKENS: 2}),
    }
    return Space((MethodDimension(branches),), {})


def measured_tree(number: int, parameters: dict[str, Any]) -> Trial:
    """With the shares that drafts have where a node's chance depends on its depth and rank."""
    metrics: dict[str, Any] = {}
    literal = parameters.get(TREE)
    if literal:
        tree = TokenTree.parse(literal, MAX_NODES)
        shares = {(): 1.0}
        for node in tree.nodes:
            shares[node] = shares[node[:-1]] * CHANCES[len(node) - 1][node[-1]]
        metrics = {"num_drafts": 100_000, "share_of_drafts_per_node": [shares[node] for node in tree.nodes]}
    return Trial(number, parameters, Status.COMPLETE, speedup=1.0, metrics=metrics)


def test_a_grown_tree_is_the_best_that_the_measured_acceptance_allows(tmp_path: Path) -> None:
    space = tree_space()
    grown: list[TokenTree] = []
    for _ in range(8):  # every trial by another process
        ledger = open_ledger(tmp_path, space, settings(n_trials=8))
        Growth(ledger, space).propose(ledger.finished())
        number, parameters = ask(ledger)
        ledger.tell(measured_tree(number, parameters))
        if "fixed" in ledger._study.trials[number].user_attrs:
            assert parameters["method"] == "head"
            grown.append(TokenTree.parse(parameters[TREE], parameters[TOKENS]))
            assert space.has(ledger._study.trials[number].params)
    truth = by_depth_and_rank(CHANCES)
    assert [len(tree) for tree in grown] == [12, 6]
    for tree in grown:
        best = expected_accepted(best_first(truth, len(tree)), truth)
        assert expected_accepted(tree, truth) == pytest.approx(best, rel=0.02)
    Growth(ledger, space).propose(ledger.finished())
    assert sum("grown" in trial.user_attrs for trial in ledger._study.trials) == 2, "once a method"


def test_words_of_the_command_line() -> None:
    assert with_methods(["method=[suffix, ngram]", "study.seed=1"]) == ["method=ngram+suffix", "study.seed=1"]
    assert with_methods(["method=none,[eagle3,ngram],auto"]) == ["method=none,ngram+eagle3,auto"]
    assert with_methods(["method=[ngram]"]) == ["method=ngram"]


@pytest.mark.parametrize(("word", "part"), [("[ngram,none]", "baseline"), ("[auto,ngram]", "all methods"),
                                            ("[]", "no list"), ("[ngram,ngram]", "different")])  # fmt: skip
def test_lists_that_say_nothing_are_refused(word: str, part: str) -> None:
    with pytest.raises(UsageError, match=part):
        with_methods([f"method={word}"])


TRUTH = "+engine.methods={ngram: {good: 2}, suffix: {good: 6, row: 0.04}}"


def test_the_command_finds_the_method_and_says_which(commands) -> None:
    done = commands.tune("method=[suffix,ngram]", TRUTH, "study.n_trials=16")
    assert done.status == 0, done.err
    assert (done.line["method"], done.line["searched"]) == ("suffix", "ngram+suffix")
    assert done.line["parameters"]["num_speculative_tokens"] in (5, 6)
    assert "method" not in done.line["parameters"]
    best = json.loads((done.folder / "best.json").read_text())
    assert best["speculative_config"]["method"] == "suffix"
    assert best["details"]["space"]["methods"] == ["ngram", "suffix"]
    assert set(best["details"]["space"]["by_method"]) == {"ngram", "suffix"}
    assert any("best of every method" in note and "suffix" in note for note in best["details"]["notes"])
    assert best["details"]["study"].startswith("ngram+suffix-")
    assert [trial["parameters"]["method"] for trial in done.trials[:2]] == ["ngram", "suffix"]
    for trial in done.trials:
        lookup = {"prompt_lookup_min", "prompt_lookup_max"} & set(trial["parameters"])
        assert bool(lookup) is (trial["parameters"]["method"] == "ngram")
    assert "method=suffix" in done.out
    assert "methods: ngram, suffix" in done.out


def test_tracking_has_every_method_and_the_one_that_won(commands, tmp_path: Path) -> None:
    from mlflow.tracking import MlflowClient

    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    done = commands.tune("method=[suffix,ngram]", TRUTH, "study.n_trials=4", f"tracking.uri={uri}")
    assert done.status == 0, done.err
    client = MlflowClient(uri)
    runs = client.search_runs([client.get_experiment_by_name("spectune").experiment_id])
    (parent,) = (run for run in runs if "mlflow.parentRunId" not in run.data.tags)
    assert parent.data.tags["method"] == "suffix"
    assert parent.data.params["method.name"] == "ngram+suffix"
    assert parent.data.params["method.suffix.num_speculative_tokens"] == "8"
    assert parent.data.params["method.ngram.search.prompt_lookup_max.plus"] == "prompt_lookup_min"
    children = {run.info.run_name: run.data.params for run in runs if run is not parent}
    for trial in done.trials:
        method = trial["parameters"].pop("method")
        rest = {f"method.{key}": str(value) for key, value in trial["parameters"].items()}
        assert children[f"trial {trial['number'] + 1}"] == {"method": method, **rest}


def test_a_sweep_says_which_method_won(commands) -> None:
    words = commands.fake("method=[suffix,ngram],ngram", TRUTH, "study.n_trials=4")
    done = commands.run("-m", *words, timeout=240)
    assert done.status == 0, done.err
    jobs = [job["line"] for job in done.line["jobs"]]
    assert [(job["method"], job["searched"]) for job in jobs] == [("suffix", "ngram+suffix"), ("ngram", "ngram")]
    assert "method=suffix  num_speculative_tokens" in " ".join(done.out.split("Comparison")[1].split("\n")).replace(
        "   ", " "
    )


def test_a_killed_joint_study_goes_on(commands) -> None:
    """Killed between two trials: the same command ends with the trials there were, and as many as asked."""
    wanted = ("method=[suffix,ngram]", TRUTH, "study.n_trials=6")
    process = subprocess.Popen(commands.words(*commands.fake(*wanted, "engine.slow=0.002")), cwd=commands.project,
                               stdout=subprocess.PIPE, text=True, start_new_session=True)  # fmt: skip
    assert process.stdout is not None
    for line in process.stdout:
        if "3/6" in line:
            break
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    done = commands.tune(*wanted, "engine.slow=0.002")
    assert done.status == 0, done.err
    assert "goes on: 3 of 6" in done.out or "goes on: 4 of 6" in done.out
    assert [trial["number"] for trial in done.trials] == list(range(6))
    assert done.line["method"] == "suffix"


def test_auto_leaves_out_what_the_model_has_no_draft_for(commands) -> None:
    done = commands.tune("method=auto", TRUTH, "study.n_trials=4", "method.medusa.model=" + str(commands.model))
    assert done.status == 0, done.err
    space = json.loads((done.folder / "best.json").read_text())["details"]["space"]
    assert space["methods"] == ["ngram", "suffix", "medusa"]
    assert set(space["left_out"]) == {"mlp_speculator", "mtp", "eagle", "eagle3", "draft_model"}
    assert "without mlp_speculator" in done.out


def test_trees_and_schedules_are_searched_from_the_command_line(commands) -> None:
    """The second choice is worth two more nodes, and no chain can have it."""
    truth = "+engine.methods={ngram: {ranks: [0.45, 0.45], row: 0.01}}"
    done = commands.tune(truth, "+search.method.speculative_token_tree={tree: {max_depth: 3, max_nodes: 8}}",
                         "study.n_trials=14")  # fmt: skip
    assert done.status == 0, done.err
    tree = TokenTree.parse(done.line["parameters"]["speculative_token_tree"], 3)
    assert 1 in tree.ranks
    assert done.line["parameters"]["num_speculative_tokens"] == tree.depth
    schedule = "+search.method.num_speculative_tokens_per_batch_size={schedule: {from: [1, 3], tokens: [0, 6]}}"
    refused = commands.tune(schedule)
    assert refused.status == 2
    assert "no effect with load=single" in refused.err
    done = commands.tune(schedule, "+search.method.disable_by_batch_size={categorical: [null, 2, 4]}",
                         "load=closed_loop", "study.n_trials=6")  # fmt: skip
    assert done.status == 0, done.err
    for trial in done.trials:
        ranges = trial["parameters"]["num_speculative_tokens_per_batch_size"]
        assert ranges is None or ranges[0][2] == trial["parameters"]["num_speculative_tokens"] > ranges[1][2]


def test_what_would_change_the_comparison_is_refused(commands) -> None:
    done = commands.tune("+search.model.path={categorical: [a, b]}")
    assert done.status == 2
    assert "search.method.model" in done.err
    done = commands.bench("method=[ngram,suffix]")
    assert done.status == 2
    assert "choose one method" in done.err


def test_any_legal_draw_is_a_whole_configuration() -> None:
    space, rng = joint(), random.Random(0)
    for _ in range(200):
        parameters = space.draw(lambda dimension: rng.choice(dimension.values()))
        assert space.parameters(space.coordinates(parameters)) == parameters
