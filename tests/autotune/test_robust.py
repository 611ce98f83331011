"""One configuration for several workloads: what is chosen by each rule where the truth is known, and what is said."""

from __future__ import annotations

import io
import json
import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from autotune import measure_one, tune
from autotune.console.summary import print_summary
from autotune.errors import UsageError
from autotune.inputs import check
from autotune.leave import tracked
from autotune.result import Result
from autotune.robust.choose import ahead, ordered, regret, singles
from autotune.robust.interval import between, value_of
from autotune.robust.mix import MEAN, REGRET, WORST, Mix, by_workload, levels, unit_weights
from autotune.robust.parts import Part, visits, weighs_alike
from autotune.robust.race import combined, loses
from autotune.robust.words import with_workloads
from autotune.settings import Settings
from autotune.status import Status
from autotune.tracking.flatten import flat
from autotune.trial import Trial
from tests.autotune.in_process import context_of, settings_of, worker_here

K = "method.num_speculative_tokens"
TRUTH = {"code": {"good": 8, "odd": 0}, "chat": {"good": 1, "odd": 0}}
"""A step costs 5 % for every drafted token: 8 are the best for code, 1 for chat."""
WORDS = ("workload=[code,chat]", "workload.num_prompts=6", "workload.num_confirm_prompts=8", "workload.max_tokens=64",
         "method.search.num_speculative_tokens={int: [1, 10]}", "method.search.prompt_lookup_min=null",
         "method.search.prompt_lookup_max=null", "study.n_trials=10", "study.prune_alpha=0")  # fmt: skip


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (folder := tmp_path / "model").mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"")
    return folder


def given(model: Path, *words: str, **engine: Any) -> Settings:
    """Every length is measured."""
    from dataclasses import replace

    own = {"workloads": TRUTH, "noise": 0.003, **engine}
    settings = settings_of(*WORDS, f"outputs={model.parent / 'outputs'}", *words, **own)
    return replace(settings, model=replace(settings.model, name="fake", path=str(model)))


@pytest.fixture
def study(model: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(tune, "worker_for", worker_here)

    def run(*words: str, **engine: Any) -> Result:
        return tune.tune(context_of(given(model, *words, **engine), model.parent / "run"))

    return run


def speed(tokens: int, good: int) -> float:
    """Of 63 tokens after the first."""
    return 63 / math.ceil(63 / (1 + min(tokens, good))) / (1 + 0.05 * tokens)


def gains(code: list[float], chat: list[float]) -> dict[str, list[float]]:
    both = {"code": code, "chat": chat}
    return {f"{name}/prompt-{i}": [gain] for name, values in both.items() for i, gain in enumerate(values)}


def trial(number: int, code: float, chat: float, spread: float = 0.001) -> Trial:
    scatter = [spread * (i - 3.5) for i in range(8)]
    own = gains([code + each for each in scatter], [chat - each for each in scatter])
    return Trial(number, {K: number}, Status.COMPLETE, speedup=math.exp((code + chat) / 2), gains=own)


# What is typed


def test_lists_of_workloads_are_choices_that_hydra_knows() -> None:
    assert with_workloads(["workload=[code, chat]", "study.seed=1"]) == ["workload=code+chat", "study.seed=1"]
    assert with_workloads(["workload=math,[rag,qa],code"]) == ["workload=math,rag+qa,code"]
    assert with_workloads(["workload=[chat]"]) == ["workload=chat"]


@pytest.mark.parametrize(("listed", "why"), [
    ("[]", "is no list of different workloads"), ("[code,code]", "is no list of different workloads"),
    ("[code,several]", "names several, which is several already"),
])  # fmt: skip
def test_wrong_lists(listed: str, why: str) -> None:
    with pytest.raises(UsageError, match=r"workload=\[") as error:
        with_workloads([f"workload={listed}"])
    assert why in str(error.value)


def test_a_key_holds_for_all_workloads_and_one_s_own_key_for_one() -> None:
    words = ("workload=[code,chat]", "workload.num_prompts=5", "workload.chat.num_prompts=7",
             "workload.temperature=0.5", "workload.code.max_tokens=64")  # fmt: skip
    settings = settings_of(*words)
    code, chat = settings.workloads
    assert (code.name, code.num_prompts, code.max_tokens, code.temperature) == ("code", 5, 64, 0.5)
    assert (chat.num_prompts, chat.max_tokens) == (7, 128)
    assert settings.workload.name == "code+chat"
    assert settings.mix == Mix({"code": 0.5, "chat": 0.5})
    assert not weighs_alike(settings)
    assert weighs_alike(settings_of("workload=[code,chat]"))


def test_the_yaml_is_the_same_choice() -> None:
    settings = settings_of("workload=several", "workload.weights.code=2", "workload.rule=mean")
    assert [each.name for each in settings.workloads] == ["code", "chat", "summarization"]
    assert settings.mix is not None
    assert settings.mix.weights["code"] == 0.5


@pytest.mark.parametrize(("words", "why"), [
    (("workload.rule=best",), "workload.rule is 'best'; allowed: mean, worst, regret"),
    (("workload.weights.code=0",), "workload.weights.code is 0; it must be a number above 0"),
    (("workload.weights.chat=yes",), "workload.weights.chat is"),
    (("+workload.weights.math=1",), "workload.weights has 'math', which is not searched; allowed: code, chat"),
    (("workload.rule=worst", "workload.weights.code=2"), "goes by one workload at a time"),
    (("workload.code.max_tokens=0",), "workload.code.max_tokens is 0; it must be at least 1"),
    (("+workload.code.foo=1",), "unknown key workload.code.foo"),
    (("workload.code.name=mine",), "workload.code.name is 'mine'; of several each goes by its own name, 'code'"),
    (("+workload.foo=1",), "unknown key workload.foo"),
])  # fmt: skip
def test_what_is_wrong_is_said_in_a_line(words: tuple[str, ...], why: str) -> None:
    with pytest.raises(UsageError) as error:
        settings_of("workload=[code,chat]", *words)
    assert why in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("words", "why"), [
    (("objective=pareto", "load=closed_loop"), "the workloads code+chat have a rule of their own"),
    (("study=schedule", "load=closed_loop"), "study=schedule measures one workload, not code+chat"),
    (("model=replay", "model.path=x", "model.tokenizer=y"), "model=replay has one recording, not the 2 workloads"),
])  # fmt: skip
def test_what_several_workloads_can_not_be_part_of(model: Path, words: tuple[str, ...], why: str) -> None:
    with pytest.raises(UsageError, match=re.escape(why)):
        check(given(model, *words), searching=True)


def test_the_guide_and_a_key_of_another_choice_are_refused(commands) -> None:
    done = subprocess.run([sys.executable, "-m", "autotune.recommend", "workload=[code,chat]"], cwd=commands.project,
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 2
    assert "the guide knows of one workload at a time, not of code+chat" in done.stderr
    done = commands.run("workload=[code,chta]")
    assert done.status == 2
    assert "unknown workload 'chta'; did you mean 'chat'?" in done.err
    done = commands.run("workload=[code,chat]", "workload.weights.math=2")
    assert done.status == 2
    assert "unknown key 'workload.weights.math'" in done.err
    assert "workload.weights.code" in done.err


# What is visited


def test_workloads_take_turns_and_so_do_the_arms() -> None:
    load = settings_of().load
    parts = (Part("code", 0, 4), Part("chat", 4, 2))
    plan = visits(load, parts, 2, ("baseline", "candidate"))
    assert [step.unit for step in plan[:6]] == ["code/prompt-0", "chat/prompt-0", "code/prompt-1", "code/prompt-2",
                                                "chat/prompt-1", "code/prompt-3"]  # fmt: skip
    assert {step.indices for step in plan if step.unit == "chat/prompt-1"} == {(5,)}
    assert [step.unit for step in plan[6:]] == [step.unit for step in plan[:6]]
    for name in ("code", "chat"):
        first = [step.order[0] for step in plan if step.unit.startswith(name)]
        assert first.count("baseline") == len(first) / 2


def test_a_window_has_one_workload_s_requests() -> None:
    plan = visits(settings_of("load=closed_loop").load, (Part("code", 0, 4), Part("chat", 4, 3)), 3, ("a", "b"))
    assert [step.unit for step in plan[:2]] == ["code/window-0", "chat/window-0"]
    assert {step.indices for step in plan} == {(0, 1, 2, 3), (4, 5, 6)}
    assert len(plan) == 6


# The one number


def test_levels_weights_and_values() -> None:
    measured = gains([0.6, 0.8], [0.1, 0.1, 0.1, 0.3])
    assert levels(measured) == pytest.approx({"code": 0.7, "chat": 0.15})
    weighed = unit_weights(measured, Mix({"code": 0.25, "chat": 0.75}))
    assert sum(weighed.values()) == pytest.approx(1)
    assert sum(weighed[unit] * values[0] for unit, values in measured.items()) == pytest.approx(
        0.25 * 0.7 + 0.75 * 0.15
    )
    assert by_workload({"prompt-0": [0.1]}) == {}
    for rule, expected in ((MEAN, 0.425), (WORST, 0.15), (REGRET, 0.425)):
        settings = settings_of("workload=[code,chat]", f"workload.rule={rule}")
        assert value_of(measured, settings).mean == pytest.approx(expected)


@pytest.mark.parametrize("units", [4, 12])
def test_the_interval_covers_the_truth_as_often_as_it_says(units: int) -> None:
    """Workloads that differ far more between each other than within: strata must not count as scatter."""
    settings = settings_of("workload=[code,chat]", "study.resamples=400")
    rng, covered, widths = np.random.default_rng(0), 0, []
    for _ in range(300):
        code, chat = rng.normal(1.0, 0.1, units), rng.normal(0.0, 0.2, units)
        found = value_of(gains(list(code), list(chat)), settings)
        assert found.low is not None and found.high is not None  # noqa: PT018
        covered += found.low <= 0.5 <= found.high
        widths.append(found.high - found.low)
    assert 0.92 <= covered / 300 <= 0.99
    assert np.mean(widths) < 0.6


def test_one_unit_of_a_workload_has_no_interval() -> None:
    found = value_of(gains([0.5, 0.6], [0.1]), settings_of("workload=[code,chat]"))
    assert found.factor_bounds is None


def test_between_two_configurations_by_every_rule() -> None:
    """The other one gains 0.2 on code and loses 0.1 on chat."""
    winner = gains([0.5] * 8, [0.2] * 8)
    apart = gains([0.2 + i / 1000 for i in range(8)], [-0.1 - i / 1000 for i in range(8)])
    settings = {rule: settings_of("workload=[code,chat]", f"workload.rule={rule}") for rule in (MEAN, WORST, REGRET)}
    assert between(winner, apart, settings[MEAN]).mean == pytest.approx(0.05)
    assert between(winner, apart, settings[WORST]).mean == pytest.approx(-0.1035)
    lost = between(winner, apart, settings[REGRET], {"code": 0.3, "chat": 0.0})
    assert lost.mean == pytest.approx(0.3 - max(0.3 - 0.2035, 0.1035))
    assert lost.above_zero


# Stopping


def test_a_trial_is_stopped_where_it_cannot_be_chosen() -> None:
    mean, regrets = Mix({"code": 0.5, "chat": 0.5}), Mix({"code": 0.5, "chat": 0.5}, REGRET)
    rng = np.random.default_rng(1)

    def units(code: float, chat: float) -> dict[str, float]:
        drawn = gains(list(rng.normal(code, 0.02, 8)), list(rng.normal(chat, 0.02, 8)))
        return {unit: values[0] for unit, values in drawn.items()}

    best, dominated, other = units(0.6, 0.3), units(0.4, 0.1), units(0.7, -0.3)
    for mix, ours, stops in ((mean, dominated, True), (regrets, dominated, True), (mean, other, True),
                             (regrets, other, False), (mean, best, False)):  # fmt: skip
        assert loses(ours, best, mix, alpha=0.02, rivals=4, planned=16) is stops
    assert not loses(
        {u: g for u, g in dominated.items() if u.startswith("code")}, best, mean, alpha=0.5, rivals=1, planned=16
    )


def test_equal_configurations_are_seldom_stopped() -> None:
    mix, rng, stopped = Mix({"code": 0.7, "chat": 0.3}), np.random.default_rng(2), 0
    for _ in range(400):
        base = rng.normal(0.5, 0.2, 8), rng.normal(0.1, 0.2, 8)
        rivals = [gains(*[list(side + rng.normal(0, 0.03, 8)) for side in base]) for _ in range(6)]
        value = {i: 0.7 * levels(each)["code"] + 0.3 * levels(each)["chat"] for i, each in enumerate(rivals[:5])}
        best = rivals[max(value, key=lambda i: value[i])]
        ours, theirs = ({unit: values[0] for unit, values in each.items()} for each in (rivals[5], best))
        half = {unit: gain for unit, gain in ours.items() if int(unit.rpartition("-")[2]) < 4}
        stopped += loses(half, theirs, mix, alpha=0.025, rivals=5, planned=16)
    assert stopped / 400 <= 0.05


def test_the_width_of_the_one_number() -> None:
    measured, halves = gains([0.1], [0.2]), {"code": 0.03, "chat": 0.04}

    def width(own: dict[str, list[float]], confidence: float) -> float:
        return halves[next(iter(own)).partition("/")[0]]

    assert combined(measured, 0.95, Mix({"code": 0.5, "chat": 0.5}), width) == pytest.approx(0.025)
    assert combined(measured, 0.95, Mix({"code": 0.5, "chat": 0.5}, WORST), width) == pytest.approx(0.04)
    assert combined({}, 0.95, Mix({"code": 0.5, "chat": 0.5}), width) is None


# Choosing


def test_regret_and_what_a_single_workload_s_choice_would_lose() -> None:
    mix = Mix({"code": 0.5, "chat": 0.5}, REGRET)
    for_code, for_both, for_chat = trial(8, 1.86, 0.36), trial(6, 1.68, 0.43), trial(1, 0.64, 0.64)
    trials = [for_code, for_both, for_chat]
    assert regret(for_both, trials, mix) == pytest.approx(0.21, abs=0.001)
    assert ahead(for_code, trials, mix) == pytest.approx({"code": 0.0, "chat": 0.28}, abs=0.001)
    assert [each.number for each in ordered(trials, mix)] == [6, 8, 1]
    assert ordered(trials, Mix(mix.weights)) == trials
    alone = {each.workload: each for each in singles(trials, mix, settings_of().study)}
    assert alone["code"].losses == pytest.approx({"chat": 1 - math.exp(-0.28)}, abs=0.001)
    assert alone["chat"].losses == pytest.approx({"code": 1 - math.exp(-1.22)}, abs=0.001)


@pytest.mark.parametrize(("rule", "tokens"), [(MEAN, 8), (REGRET, 6), (WORST, 1)])
def test_every_rule_chooses_what_the_truth_says(study, rule: str, tokens: int) -> None:
    result = study(f"workload.rule={rule}")
    assert result.parameters["num_speculative_tokens"] == tokens
    assert result.confirmed
    assert result.workload == "code+chat"
    robust = result.details["robust"]
    assert (robust["rule"], robust["weights"]) == (rule, {"code": 0.5, "chat": 0.5})
    assert robust["chosen"] == robust["rows"][0]["trial"]
    assert robust["confirmed"]["code"]["speedup"] == pytest.approx(speed(tokens, 8), rel=0.04)
    low, high = robust["confirmed"]["chat"]["interval"]
    assert low < speed(tokens, 1) * 1.02
    assert high > speed(tokens, 1) * 0.98
    overall = math.sqrt(speed(tokens, 8) * speed(tokens, 1)) if rule != WORST else speed(tokens, 1)
    assert result.speedup == pytest.approx(overall, rel=0.04)
    assert set(result.metrics["by_workload"]) == {"code", "chat"}
    assert result.metrics["by_workload"]["chat"]["acceptance_rate"] == pytest.approx(1 / tokens, rel=0.05)
    rows = {row["parameters"]["num_speculative_tokens"]: row for row in robust["rows"]}
    assert rule == MEAN or len(rows) == 10  # the model of cost leaves some out where it may
    best = {good: max(speed(k, good) for k in rows) for good in (1, 8)}
    for k, row in rows.items():
        expected = 1 - min(speed(k, good) / best[good] for good in (1, 8))
        assert row["regret"] == pytest.approx(expected, abs=0.02)
        assert row["by_workload"]["code"]["speedup"] == pytest.approx(speed(k, 8), rel=0.03)
    notes = " ".join(result.details["notes"])
    assert "By workload, on the held-out prompts: code" in notes
    if rule != MEAN:
        loss = f"{100 * (1 - speed(8, 1) / best[1]):.0f} %"
        assert f"On the search's prompts it loses {100 * robust['rows'][0]['regret']:.1f} % on " in notes
        assert f"The best for code alone (num_speculative_tokens=8) would lose {loss} on chat" in notes
    assert set(result.details["break_even"]["by_workload"]) == {"code", "chat"}
    sent = dict(flat(tracked(result)))
    assert sent["speedup_by_workload.code"] == robust["confirmed"]["code"]["speedup"]
    assert sent["by_workload.chat.acceptance_rate"] == result.metrics["by_workload"]["chat"]["acceptance_rate"]
    console = Console(record=True, width=120, file=io.StringIO())
    print_summary(console, result, [])
    told = console.export_text()
    assert re.search(rf"^chat\s+{robust['confirmed']['chat']['speedup']:.2f}x", told, re.MULTILINE)


def test_weights_move_the_choice(study) -> None:
    """Where chat counts nine times, one token is the best in the mean."""
    result = study("workload.weights.chat=19")
    value = {k: 0.05 * math.log(speed(k, 8)) + 0.95 * math.log(speed(k, 1)) for k in range(1, 11)}
    assert result.parameters["num_speculative_tokens"] in (1, max(value, key=lambda k: value[k]))
    assert "weighed code 5 %, chat 95 %" in " ".join(result.details["notes"])
    assert "had no part in this search" in " ".join(result.details["notes"])


def test_different_workloads_under_load(study, model: Path) -> None:
    """Other lengths of answers, other temperatures, windows of their own."""
    result = study("load=closed_loop", "workload.code.max_tokens=24", "workload.chat.temperature=0.7",
                   "study.n_trials=3", "load.passes=2", "load.confirm_passes=2",
                   "workload.chat.num_prompts=4")  # fmt: skip
    assert set(result.details["robust"]["confirmed"]) == {"code", "chat"}
    samples = json.loads((model.parent / "run" / "trials.jsonl").read_text().splitlines()[0])
    assert set(samples["log_gains"]) == {"code/window-0", "chat/window-0", "code/window-1", "chat/window-1"}


def test_a_bench_tells_every_workload_s_speed_up(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure_one, "worker_for", worker_here)
    settings = given(model, "method.num_speculative_tokens=8")
    result = measure_one.bench(context_of(settings, model.parent / "run", "bench"))
    confirmed = result.details["robust"]["confirmed"]
    assert confirmed["code"]["speedup"] == pytest.approx(speed(8, 8), rel=0.03)
    assert confirmed["chat"]["speedup"] == pytest.approx(speed(8, 1), rel=0.03)
    assert result.details["robust"]["singles"] == []


def test_a_study_that_was_cut_off_goes_on(study, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The record of a trial tells its workloads apart, so what was measured counts."""
    monkeypatch.setattr(tune.Tuning, "_concluded", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        study("study.n_trials=4", "workload.rule=regret")
    monkeypatch.undo()
    monkeypatch.setattr(tune, "worker_for", worker_here)
    settings = given(model, "study.n_trials=10", "workload.rule=regret")
    result = tune.tune(context_of(settings, model.parent / "again"))
    assert result.parameters["num_speculative_tokens"] == 6
    assert result.trials["complete"] == 10
    early = (model.parent / "run" / "trials.jsonl").read_text().splitlines()
    assert (model.parent / "again" / "trials.jsonl").read_text().splitlines()[: len(early)] == early
