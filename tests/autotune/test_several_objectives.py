"""Several objectives: the front and the rule on known truths, what the sampler is told, what is refused."""

from __future__ import annotations

import json
import math
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from test_conf import settings_for
from test_resume import start_and_end_early
from test_study import SETTINGS, SPACE

from autotune.errors import UsageError
from autotune.inputs import check
from autotune.model.advisor import Advisor
from autotune.objective_words import with_objectives
from autotune.objectives import Objectives, objectives_of
from autotune.pareto import front, points, record, sentences
from autotune.pruning import Pruners, incumbents
from autotune.robust.words import with_workloads
from autotune.search_space import space_of
from autotune.status import Cause, Status
from autotune.stop_rule import without_progress
from autotune.study.joining import agree
from autotune.study.ledger import Ledger
from autotune.study.naming import fingerprint
from autotune.study.open import open_study
from autotune.tracking.tracker import Tracker
from autotune.trial import Factor, Trial, ranking, trial_from_json
from tests.autotune.conftest import Commands

UNITS = 12


def both(*words: str) -> Objectives:
    return objectives_of(settings_for("objective=pareto", "objective.metrics=[tpot,ttft]", *words))


def trial(number: int, tpot: float, ttft: float, spread: float = 0.01, rule: Objectives | None = None) -> Trial:
    """A complete trial with these factors; the units lie `spread` around them."""
    first, second = (wiggled(factor, number + place, spread) for place, factor in enumerate((tpot, ttft)))
    further = {"ttft": Factor(ttft, (ttft, ttft), "", second, second)}
    found = Trial(number, {"method.k": number}, Status.COMPLETE, speedup=tpot, interval=(tpot, tpot), units=UNITS,
                  gains=first, own_gains=first, further=further)  # fmt: skip
    return (rule or both()).scored(found)


def wiggled(factor: float, seed: int, spread: float) -> dict[str, list[float]]:
    return {f"u{i}": [math.log(factor) + spread * math.sin(7 * seed + 2.4 * i)] for i in range(UNITS)}


TRIALS = [(0, 1.5, 0.80), (1, 1.4, 0.97), (2, 1.2, 1.10), (3, 1.1, 0.90), (4, 0.9, 1.30)]


@pytest.mark.parametrize(
    ("words", "best"),
    [
        (("objective.may_lose=0.05",), 1),
        (("objective.may_lose=0.3",), 0),
        (("objective.may_lose=0",), 2),
        (("objective.rule=balanced",), 1),
        (("objective.rule=balanced", "objective.weights=[1,3]"), 4),
        (("objective.rule=balanced", "objective.weights=[5,1]"), 0),
    ],
)
def test_the_rule_picks(words: tuple[str, ...], best: int) -> None:
    rule = both(*words)
    assert ranking([trial(*each, rule=rule) for each in TRIALS])[0].number == best


def test_one_metric_has_no_score() -> None:
    alone = objectives_of(settings_for())
    assert not alone.several
    assert alone.scored(trial(0, 1.5, 0.8)).rank == (1.5,)


def numbers(found: list[Any]) -> set[int | None]:
    return {point.trial.number if point.trial else None for point in found}


def test_the_front_is_what_no_other_beats() -> None:
    """Trial 3 is below trial 1 on both; no speculation is beaten by trial 2 and by nobody before."""
    study = settings_for("study.tie_margin=0.02").study
    every = points([trial(*each) for each in TRIALS], both())
    assert numbers(front(every, study)) == {0, 1, 2, 4}
    assert numbers(front(points([trial(0, 1.5, 0.8)], both()), study)) == {None, 0}
    assert numbers(front(points([trial(0, 0.9, 0.8)], both()), study)) == {None}


def test_what_is_not_shown_leaves_both_on_the_front() -> None:
    study = settings_for("study.tie_margin=0.02").study
    noisy = points([trial(0, 1.5, 0.8), trial(3, 1.4, 0.78, spread=0.5)], both())
    assert numbers(front(noisy, study)) == {None, 0, 3}
    near = points([trial(0, 1.5, 0.8), trial(3, 1.495, 0.8)], both())
    assert numbers(front(near, study)) == {None, 0, 3}, "closer than study.tie_margin"
    worse = points([trial(0, 1.5, 0.8), trial(3, 1.3, 0.805)], both())
    assert numbers(front(worse, study)) == {None, 0}, "a difference that does not matter saves nobody"


def test_the_record_of_the_front() -> None:
    rule = both("objective.may_lose=0.05")
    trials = [trial(*each, rule=rule) for each in TRIALS]
    found = record(trials, trials[1], rule, settings_for().study)
    assert [point["trial"] for point in found["front"]] == [0, 1, 2, 4]
    assert [point["trial"] for point in found["front"] if point["chosen"]] == [1]
    assert [point["trial"] for point in found["dominated"]] == [3, None]
    assert found["front"][0]["values"] == {"tpot": 1.5, "ttft": 0.8}
    assert "lose at most 5% on ttft" in sentences(found)[0]
    assert "no speculation is better" not in sentences(found)[0]
    poor = [trial(0, 0.9, 1.1, rule=rule)]
    assert "By this rule no speculation is better" in sentences(record(poor, poor[0], rule, settings_for().study))[0]


def test_stopped_only_where_one_is_better_on_everything() -> None:
    best = incumbents([trial(0, 1.5, 0.8), trial(1, 1.2, 1.1), trial(2, 1.1, 0.7)], both())
    assert {each[0].number for each in best} == {0, 1}

    def stopped(tpot: float, ttft: float) -> bool:
        pruners = Pruners(best, UNITS, alpha=0.05, first=5)
        seen = (dict(list(wiggled(f, 9 + i, 0.01).items())[:5]) for i, f in enumerate((tpot, ttft)))
        return pruners.should_stop(list(seen))

    assert stopped(1.1, 0.7)
    assert stopped(1.1, 1.0)
    assert not stopped(1.3, 0.9), "worse than each on one metric only"
    assert not stopped(1.6, 0.5)


WRONG = {
    "unknown": (["objective.metrics=[tpot,speed]"], "unknown objective.metrics 'speed'; "),
    "one": (["objective.metrics=[tpot]"], "two or more different metrics"),
    "none": (["objective.metrics=[]"], "objective.metric is missing"),
    "twice": (["objective.metrics=[tpot,tpot]"], "two or more different metrics"),
    "rule": (["objective.rule=best"], "objective.rule is 'best'; "),
    "weights of first": (["objective.weights=[1,2]"], "objective.rule=first has none"),
    "few weights": (["objective.rule=balanced", "objective.weights=[1]"], "a list of 2 numbers above 0"),
    "no weight": (["objective.rule=balanced", "objective.weights=[1,0]"], "a list of 2 numbers above 0"),
    "lost": (["objective.may_lose=1"], "objective.may_lose is 1"),
    "goodput alone": (["objective.metrics=[tpot,goodput]"], "objective.metric is 'goodput', but load=single"),
    "no limit": (["objective.metrics=[tpot,goodput]", "load=closed_loop"], "load.slo names no limit"),
    "a replay": (["model=replay", "objective=pareto"], "a replay measures no time"),
    "a schedule": (["study=schedule", "load=closed_loop"], "study=schedule goes by one"),
    "memory of two engines": (["+search.engine={seed: {int: [0, 1]}}"], "does not go with search.engine"),
    "both": (["+objective.metric=ttft"], "beside objective.metrics"),
}


@pytest.mark.parametrize(("words", "text"), WRONG.values(), ids=WRONG)
def test_what_is_refused(words: list[str], text: str) -> None:
    with pytest.raises(UsageError) as caught:
        check(settings_for("objective=pareto", *words), searching=True)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_several_workloads_are_another_study() -> None:
    words = with_workloads(["workload=[code,chat]", "objective=pareto"])
    with pytest.raises(UsageError, match="the workloads code\\+chat have a rule of their own"):
        check(settings_for(*words), searching=True)


def test_a_list_on_the_command_line() -> None:
    words = with_objectives(["load=single", "objective=[tpot,throughput]"])
    settings = settings_for(*words)
    assert settings.objective.metrics == ["tpot", "output_tokens_per_s"]
    assert settings.objective.name == "tpot+throughput"


def ledger_of_two(path: Path) -> Ledger:
    storage = optuna.storages.RDBStorage(f"sqlite:///{path / 'study.db'}")
    study = optuna.create_study(storage=storage, study_name="s", directions=["maximize"] * 2, load_if_exists=True)
    ledger = Ledger(study, SPACE, SETTINGS)
    ledger.begin()
    return ledger


def test_what_the_sampler_is_told(tmp_path: Path) -> None:
    ledger = ledger_of_two(tmp_path)
    endings = [(Status.COMPLETE, Cause.NONE), (Status.PRUNED, Cause.WORSE), (Status.INFEASIBLE, Cause.OUT_OF_MEMORY),
               (Status.FAILED, Cause.LOSSY), (Status.FAILED, Cause.CRASHED)]  # fmt: skip
    for status, cause in endings:
        number, parameters = ledger.ask()
        found = replace(trial(number, 1.5, 0.8), parameters=parameters, status=status, cause=cause)
        ledger.tell(found if cause in (Cause.NONE, Cause.WORSE) else replace(found, speedup=None, further={}))
    told = ledger._study.trials
    assert [t.state.name for t in told] == ["COMPLETE", "COMPLETE", "PRUNED", "PRUNED", "FAIL"]
    assert told[0].values == told[1].values == pytest.approx([math.log(1.5), math.log(0.8)])
    assert [max(t.constraints.values()) > 0 for t in told[:4]] == [False, False, True, True]
    assert [t.status for t in ledger.finished()] == [status for status, _ in endings]


def test_the_sampler_finds_the_front_and_goes_on_as_if_nothing_had_happened(tmp_path: Path) -> None:
    """tpot gains with k, ttft loses with it; n only harms both: the front is ten of 60 points."""

    def answer(ledger: Ledger) -> None:
        number, p = ledger.ask()
        harm = 0.8 ** (p["method.n"] - 1)
        found = trial(number, (1 + p["method.k"] / 10) * harm, (1 - p["method.k"] / 20) * harm)
        ledger.tell(replace(found, parameters=p))

    for folder in ("whole", "parts"):
        (tmp_path / folder).mkdir()
    whole = ledger_of_two(tmp_path / "whole")
    for _ in range(30):
        answer(whole)
    tried = [t.parameters for t in whole.finished()]
    assert sum(p["method.n"] == 1 for p in tried) >= 8, "of the ten on the front; at random it would be five"
    for _ in range(12):
        answer(ledger_of_two(tmp_path / "parts"))
    assert [t.parameters for t in ledger_of_two(tmp_path / "parts").finished()] == tried[:12]


def test_records_survive_and_those_of_before_load() -> None:
    found = trial(3, 1.5, 0.8)
    assert trial_from_json(json.loads(json.dumps(found.to_json()))) == found
    before = {key: value for key, value in found.to_json().items() if key not in ("further", "score")}
    assert trial_from_json(before).rank == (1.5,)


def test_a_study_of_others_is_not_joined(tmp_path: Path) -> None:
    def begin(*words: str) -> None:
        settings = settings_for("study.name=mine", f"outputs={tmp_path}", "study.resume=always", *words)
        open_study(settings, space_of(settings), tmp_path, lambda _: None).close()

    begin("objective=pareto", "objective.metrics=[tpot,ttft]")
    begin("objective=pareto", "objective.metrics=[tpot,ttft]", "objective.rule=balanced")
    with pytest.raises(UsageError, match="was begun for tpot, ttft, here it is ttft, tpot") as raised:
        begin("objective=pareto", "objective.metrics=[ttft,tpot]")
    assert raised.value.__traceback__ is not None  # held on to, as a caller may; the study is free all the same
    with pytest.raises(UsageError, match="was begun for tpot, ttft, here it is tpot;"):
        begin()


def test_a_study_from_before_objectives_were_noted(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'old.db'}"
    optuna.create_study(storage=url, study_name="mine", direction="maximize")
    words = ("study.name=mine", f"study.storage={url}")
    open_study(settings_for(*words), space_of(settings_for()), tmp_path, lambda _: None).close()
    with pytest.raises(UsageError, match="was begun for tpot, here it is ttft"):
        open_study(settings_for(*words, "objective=ttft"), space_of(settings_for()), tmp_path, lambda _: None)


def test_names_and_terms(tmp_path: Path) -> None:
    words = ("objective=pareto", "objective.metrics=[tpot,ttft]")
    names = [fingerprint(settings_for(*words, *more), tmp_path) for more in ((), ("objective.rule=balanced",))]
    assert len({*names, fingerprint(settings_for(), tmp_path)}) == 2, "another rule finds the same study"
    study = optuna.create_study(study_name="x")
    agree(study, settings_for("study.name=x", *words), anew=False)
    with pytest.raises(UsageError, match=r"study x is run with objective.metrics=\['tpot', 'ttft'\]"):
        agree(study, settings_for("study.name=x", "objective=pareto"), anew=False)


def test_the_model_is_off() -> None:
    assert Advisor(settings_for(), space_of(settings_for())).on
    settings = settings_for("objective=pareto")
    advisor = Advisor(settings, space_of(settings))
    advisor.learn([trial(*each) for each in TRIALS])
    assert not advisor.on
    assert advisor.model is None


def test_progress_is_on_any_objective() -> None:
    rising = [trial(0, 1.5, 0.8), trial(1, 1.4, 0.9), trial(2, 1.3, 1.0)]
    assert without_progress(rising, 0.02) == 0
    assert without_progress([*rising, trial(3, 1.2, 0.7), trial(4, 1.1, 0.9)], 0.02) == 2


def test_the_tracking_has_every_factor(tmp_path: Path) -> None:
    settings = settings_for("tracking=none")
    told = Tracker(settings.tracking, tmp_path, "key", lambda _: None)._trial_numbers(trial(0, 1.5, 0.8))
    assert ["factor.ttft.value", 0.8, 0] in told
    assert ["speedup", 1.5, 0] in told


KNOWN = (
    "load=closed_loop", "load.passes=5", "load.confirm_passes=5", "method.search.prompt_lookup_max=null",
    "method.search.prompt_lookup_min=null", "+search.method.num_speculative_tokens={int: [1, 7]}", "study.n_trials=7",
    "study.knob_visits=0", "study.prune_alpha=0",
)  # fmt: skip
"""A drafted token costs 5 % of a step, and new requests wait for the step: k tokens make the time to the first token
1 + 0.05 k times as long. At most four are accepted, so that four are best for the time per token, and more a loss.
"""


def best_json(done: Any) -> dict[str, Any]:
    return json.loads((done.folder / "best.json").read_text())


def front_of(done: Any) -> set[int]:
    pareto = best_json(done)["details"]["pareto"]
    return {point["parameters"].get("num_speculative_tokens", 0) for point in pareto["front"]}


def test_a_known_front_is_found_and_chosen_from_by_each_rule(commands: Commands) -> None:
    words = ("objective=[tpot,ttft]", "objective.may_lose=0.11", *KNOWN)
    done = commands.tune(*words)
    assert done.status == 0, done.err
    assert front_of(done) == {0, 1, 2, 3, 4}
    assert done.line["parameters"]["num_speculative_tokens"] == 2
    assert done.line["confirmed"]
    details = best_json(done)["details"]
    assert [each["name"] for each in details["objectives"]] == ["tpot", "ttft"]
    assert details["objectives"][1]["factor"] == pytest.approx(1 / 1.1, rel=0.03)
    assert details["model"]["on"] is False
    assert details["runner_up"]["further"]["ttft"]["factor"] < 1
    assert "the sampler proposes alone" in done.out
    assert "on the front of the search" in done.out
    assert "ttft factor of at least 0.89" in " ".join(details["notes"])

    chosen = ("study.resume=always", "objective.rule=balanced")
    time.sleep(1.1)  # another second, another folder
    balanced = commands.tune(*words, *chosen)
    assert "goes on: 7 of 7" in balanced.out
    assert balanced.line["parameters"]["num_speculative_tokens"] == 4
    time.sleep(1.1)
    weighted = commands.tune(*words, *chosen, "objective.weights=[1,9]")
    assert weighted.line["parameters"]["num_speculative_tokens"] == 1
    assert (weighted.line["speedup"] or 0) > 1.7


def test_memory_is_that_of_the_arm_alone(commands: Commands) -> None:
    """Every drafted token takes 60 MB, which stay in the process while no speculation is measured beside it."""
    heavy = ("load=single", "+engine.chain.megabytes=60", "study.tie_margin=0.01", *KNOWN[3:])
    done = commands.tune("objective=[tpot,peak_memory]", "objective.may_lose=0.99", *heavy)
    assert done.status == 0, done.err
    gib = {t["parameters"]["num_speculative_tokens"]: t["metrics"]["peak_memory_gib"] for t in done.trials}
    bare = [trial["baseline"]["peak_memory_gib"] for trial in done.trials]
    assert max(bare) - min(bare) < 0.02
    assert all(abs(found - bare[0] - k * 60 / 1024) < 0.03 for k, found in gib.items())
    assert front_of(done) == {0, 1, 2, 3, 4}
    assert done.line["parameters"]["num_speculative_tokens"] == 4
    limited = ("objective=tpot", "+constraints.memory_gib={max: %.2f}" % (bare[0] + 0.15), "study.model=false", *heavy)
    assert commands.tune(*limited).line["parameters"]["num_speculative_tokens"] == 2


def test_no_speculation_can_be_the_best(commands: Commands) -> None:
    done = commands.tune("objective=[ttft,tpot]", *KNOWN)
    assert done.status == 0, done.err
    assert not done.line["confirmed"]
    assert "By this rule no speculation is better than all of them." in done.out
    assert "Deploy without speculation" in done.out


def test_one_configuration_is_measured_on_all(commands: Commands) -> None:
    done = commands.bench(
        "objective=[tpot,ttft]", "objective.may_lose=0.5", "load=closed_loop", "load.confirm_passes=5"
    )
    assert done.status == 0, done.err
    assert done.line["confirmed"]
    assert [each["name"] for each in best_json(done)["details"]["objectives"]] == ["tpot", "ttft"]
    strict = commands.bench(
        "objective=[tpot,ttft]", "objective.may_lose=0", "load=closed_loop", "load.confirm_passes=5"
    )
    assert not strict.line["confirmed"]


def test_kill_9_and_again(commands: Commands) -> None:
    words = ("engine.slow=0.0005", "study.n_trials=6", "objective=[tpot,ttft]", "load=closed_loop", "load.passes=4")
    status, _ = start_and_end_early(commands, words, 3, signal.SIGKILL)
    assert status == -signal.SIGKILL
    early = next(commands.outputs.glob("20*/*/trials.jsonl")).read_text().splitlines()
    time.sleep(1.1)
    done = commands.tune(*words)
    assert done.status == 0, done.err
    assert "goes on: " in done.out
    assert [each["number"] for each in done.trials] == list(range(6))
    assert all(each["further"]["ttft"]["factor"] > 0 for each in done.trials if each["status"] == "complete")
    assert (done.folder / "trials.jsonl").read_text().splitlines()[: len(early)] == early
