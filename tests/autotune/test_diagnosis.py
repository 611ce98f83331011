"""Every rule of the diagnosis on made-up results: when it speaks, what it says, and when it is silent."""

from __future__ import annotations

import html
import json
import shlex
from typing import Any

import pytest
from hydra import compose, initialize_config_dir

from autotune import arms
from autotune.compose import resolve
from autotune.diagnosis.again import again
from autotune.diagnosis.finding import Finding
from autotune.diagnosis.rules import RULES, diagnose
from autotune.diagnosis.seen import Seen
from autotune.joint import plain
from autotune.load import check_load
from autotune.overrides import CONF
from autotune.search_space import space_of
from engine.speculative_config import SpeculativeConfig

HEAD = {"method": "eagle3", "model": "models/head", "num_speculative_tokens": 4, "aux_layer_convention": None,
        "draft_sample_method": None}  # fmt: skip
LOOKUP = {"method": "ngram", "num_speculative_tokens": 4, "prompt_lookup_min": 2, "prompt_lookup_max": 5}


def metrics(**changes: Any) -> dict[str, Any]:
    """A healthy head: 3 tokens a step that costs 1.2 steps without; 1000 passes, each with 4 drafted tokens."""
    return {
        "tpot_ms": {"mean": 0.4}, "tokens_per_target_pass": 3.0, "mean_acceptance_length": 3.0,
        "acceptance_per_position": [0.8, 0.6, 0.4, 0.2], "num_drafts": 1000, "num_draft_tokens": 4000,
        "num_output_tokens": 3010, "num_requests": 10, "num_preemptions": 0, "num_drafts_cut": 0,
        "time_split": {"draft": 0.1, "target": 0.85, "verify": 0.03, "other": 0.02}, **changes,
    }  # fmt: skip


def seen(*, config: dict[str, Any] | None = None, base: dict[str, Any] | None = None, **changes: Any) -> Seen:
    """`changes` are fields of Seen, or metrics of the candidate."""
    fields = {name: changes.pop(name) for name in list(changes) if name in Seen.__dataclass_fields__}
    split = {"draft": 0.0, "target": 0.95, "verify": 0.03, "other": 0.02}
    given: dict[str, Any] = {
        "method": "eagle3", "model": "tiny", "workload": "chat",
        "command_line": "python -m autotune.bench method=eagle3 model=tiny workload=chat",
        "config": {**HEAD, **(config or {})}, "metrics": metrics(**changes),
        "baseline": {"tpot_ms": {"mean": 1.0}, "tokens_per_target_pass": 1.0, "time_split": split, **(base or {})},
        "details": {"load": {"kind": "single"}}, "speedup": 2.5, "interval": (2.4, 2.6), "prompts": 16,
        "environment": {"device": "cpu", "cpus": 2}, "engine": {"num_threads": "auto", "max_num_seqs": 8},
    }  # fmt: skip
    return Seen(**{**given, **fields})


def found(rule: str, what: Seen) -> Finding | None:
    return next(each for each in RULES if each.__name__ == rule)(what)


def must(rule: str, what: Seen) -> Finding:
    finding = found(rule, what)
    assert finding is not None
    assert finding.rule == rule
    return finding


def test_a_healthy_result_has_only_its_account() -> None:
    (only,) = diagnose(seen())
    assert only.rule == "account"
    assert only.says.startswith("A step brings 3.00 tokens and costs 1.20 steps without speculation, of which drafting")
    assert only.numbers["step_cost"] == pytest.approx(1.2)
    assert "= 2.50 times" in only.says


def test_no_drafts_and_no_numbers_are_no_reason_to_speak() -> None:
    empty = seen(metrics={}, baseline={}, config={}, interval=None, speedup=None)
    assert diagnose(empty) == []
    assert [each.rule for each in diagnose(seen(num_drafts=0, interval=(0.99, 1.01)))] == []


def test_a_wrong_first_token_points_at_layers_then_at_training() -> None:
    finding = must("first_position", seen(acceptance_per_position=[0.31, 0.1, 0.0, 0.0]))
    assert "Only 31 % of the drafts" in finding.says
    assert "method.aux_layer_convention=output" in finding.next
    told = seen(acceptance_per_position=[0.31], config={"aux_layer_convention": "output"})
    assert must("first_position", told).next == "python -m autotune.train method=eagle3 model=tiny workload=chat"
    assert found("first_position", seen(acceptance_per_position=[0.5])) is None


def test_a_wrong_first_token_of_a_lookup_is_not_blamed_on_a_head() -> None:
    lookup = seen(config=LOOKUP, acceptance_per_position=[0.3, 0.05])
    lookup = Seen(**{**vars(lookup), "config": LOOKUP})
    finding = must("first_position", lookup)
    assert "head for another" not in finding.says
    assert finding.next.endswith("method.prompt_lookup_min=3")
    searched = Seen(**{**vars(lookup), "searched": ("prompt_lookup_min",)})
    assert must("first_position", searched).next == "python -m autotune model=tiny workload=chat method=auto"


def test_sampled_requests_want_a_sampled_draft() -> None:
    finding = must("sampled_requests", seen(temperature=1.0, acceptance_per_position=[0.4]))
    assert finding.next.endswith("method.draft_sample_method=probabilistic")
    low: dict[str, Any] = {"temperature": 1.0, "acceptance_per_position": [0.4]}
    for silent in ({"temperature": 0.0}, {"config": {"draft_sample_method": "probabilistic"}}):
        assert found("sampled_requests", seen(**{**low, **silent})) is None


def test_few_drafts_are_told_from_short_ones() -> None:
    rare = seen(num_drafts=120, config=LOOKUP)
    finding = must("few_drafts", rare)
    assert "A draft was made in 12 % of the steps" in finding.says
    assert finding.next.endswith("method.prompt_lookup_min=1")
    assert found("few_drafts", seen(num_drafts=900)) is None


def test_late_positions_that_cost_more_than_they_bring() -> None:
    """A step costs 2 steps and brings 3 tokens: a drafted token costs 0.25 and pays from 0.25 * 3 / 2 on."""
    finding = must("too_long", seen(tpot_ms={"mean": 2 / 3}))
    assert finding.numbers["worth_from"] == pytest.approx(0.375)
    assert finding.numbers["keep"] == 3
    assert "from token 4 on 20 % are accepted" in finding.says
    assert finding.next.endswith("method.num_speculative_tokens=3")


@pytest.mark.parametrize(
    "silent", [{"searched": ("num_speculative_tokens",)}, {"config": {"speculative_token_tree": "[(0,)]"}}]
)
def test_a_searched_length_and_a_tree_are_not_judged_by_position(silent: dict[str, Any]) -> None:
    assert found("too_long", seen(tpot_ms={"mean": 2 / 3}, **silent)) is None


def test_a_last_token_that_still_pays() -> None:
    sure = seen(acceptance_per_position=[0.9, 0.85, 0.82, 0.8], tpot_ms={"mean": 0.4})
    assert must("too_short", sure).next.endswith("method.num_speculative_tokens=6")
    assert found("too_short", Seen(**{**vars(sure), "searched": ("num_speculative_tokens",), "bound": 8})) is None
    edge = Seen(**{**vars(sure), "searched": ("num_speculative_tokens",), "bound": 4})
    assert "+search.method.num_speculative_tokens={int: [1, 8]}" in must("too_short", edge).next
    assert found("too_short", seen(acceptance_per_position=[0.8, 0.3, 0.1, 0.01])) is None


def test_a_slow_draft_is_weighed_against_what_it_wins() -> None:
    slow = {"draft": 0.5, "target": 0.48, "verify": 0.01, "other": 0.01}
    finding = must("slow_draft", seen(time_split=slow))
    assert "50 % of a step's time" in finding.says
    assert finding.numbers["with_free_drafts"] == pytest.approx(5.0)
    assert finding.next.endswith("method.num_speculative_tokens=3")
    searched = seen(time_split=slow, searched=("num_speculative_tokens",))
    assert must("slow_draft", searched).next == "python -m autotune model=tiny workload=chat method=auto"
    assert found("slow_draft", seen()) is None


def test_dear_rows() -> None:
    finding = must("dear_rows", seen(tpot_ms={"mean": 0.8}))
    assert "over 5.0 rows costs 2.04 times" in finding.says
    assert found("dear_rows", seen()) is None


def batches(gains: dict[int, float], steps: int = 100, drafted: int = 400) -> dict[str, Any]:
    base = {str(n): {"steps": steps, "mean_ms": 1.0, "tokens_per_step": n} for n in gains}
    mine = {
        str(n): {"steps": steps, "mean_ms": 1.0, "tokens_per_step": n * gain, "draft_tokens": drafted}
        for n, gain in gains.items()
    }
    return {"steps_by_batch": mine, "base": {"steps_by_batch": base}}


def test_a_batch_past_the_crossover() -> None:
    finding = must("crossover", seen(**batches({1: 1.8, 4: 1.2, 8: 0.9, 16: 0.7})))
    assert "with 8 or more requests decoding" in finding.says
    assert "0.90x at 8, 0.70x at 16" in finding.says
    assert finding.next.endswith("method.disable_by_batch_size=7")
    all_lost = must("crossover", seen(**batches({1: 0.9, 2: 0.8})))
    assert all_lost.next == "python -m autotune.bench model=tiny workload=chat method=none"


@pytest.mark.parametrize("law", ["lossy", "synthetic"])
def test_the_factors_of_a_crossover_say_whose_answers_they_are(law: str) -> None:
    finding = must("crossover", seen(output_law=law, **batches({1: 1.8, 4: 0.9, 8: 0.7})))
    assert f"0.90x {law} at 4, 0.70x {law} at 8" in finding.says


@pytest.mark.parametrize(
    "silent", [batches({1: 1.5, 8: 0.99}), batches({8: 0.5}, steps=5), batches({8: 0.5}, drafted=0), batches({0: 0.5})]
)
def test_noise_few_steps_and_steps_without_drafts_are_no_crossover(silent: dict[str, Any]) -> None:
    assert found("crossover", seen(**silent)) is None


def test_little_memory() -> None:
    finding = must("little_memory", seen(num_preemptions=3, num_drafts_cut=7, trials={"infeasible": 2}))
    assert "3 times a running request" in finding.says
    assert "7 drafts were cut" in finding.says
    assert finding.next.endswith("engine.max_num_seqs=4")
    assert must("little_memory", seen(num_drafts_cut=1, engine={"kv_cache_tokens": 512})).next.endswith("=1024")
    assert found("little_memory", seen()) is None


def test_a_baseline_that_is_itself_slow() -> None:
    slow = {"time_split": {"draft": 0.0, "target": 0.6, "verify": 0.2, "other": 0.2}}
    finding = must("slow_baseline", seen(base=slow))
    assert "40 % of its steps' time" in finding.says
    assert finding.next.endswith("load=closed_loop")
    assert found("slow_baseline", seen()) is None


def test_threads_set_by_hand() -> None:
    assert must("fixed_threads", seen(engine={"num_threads": 1})).next.endswith("engine.num_threads=auto")
    assert found("fixed_threads", seen(engine={"num_threads": 2})) is None
    assert found("fixed_threads", seen(engine={"num_threads": 1}, environment={"device": "cuda", "cpus": 8})) is None


def test_a_tie_and_an_interval_around_one() -> None:
    runner_up = {"parameters": {"num_speculative_tokens": 3},
                 "against_chosen": {"speedup": 1.0, "interval": [0.98, 1.02]}}  # fmt: skip
    tied = seen(details={"load": {"kind": "single"}, "runner_up": runner_up})
    assert "num_speculative_tokens=3" in must("tie", tied).says
    assert must("tie", tied).next.endswith("workload.num_confirm_prompts=32")
    runner_up["against_chosen"]["interval"] = [0.9, 0.97]
    assert found("tie", tied) is None
    wide = must("noise", seen(speedup=1.02, interval=(0.96, 1.08)))
    assert wide.numbers["times_the_prompts"] == 9
    assert wide.next.endswith("workload.num_confirm_prompts=144")
    assert must("noise", seen(speedup=1.0, interval=(0.8, 1.25))).next.endswith("method=auto")
    assert must("noise", seen(speedup=1.0, interval=(0.995, 1.005))).next == ""
    assert found("noise", seen()) is None


def test_one_of_several_methods_is_tried_again_alone() -> None:
    typed = "python -m autotune method=auto method.ngram.prompt_lookup_min=2 load=single"
    joint = seen(several=True, command_line=typed)
    assert joint.command("method.adaptive=true") == "python -m autotune load=single method=eagle3 method.adaptive=true"


def test_a_word_replaces_the_one_with_its_key() -> None:
    line = "python -m autotune method=ngram method.num_speculative_tokens=9 '+search.method.x={int: [1, 2]}'"
    assert again(line, "method.num_speculative_tokens=3").endswith(
        "method=ngram '+search.method.x={int: [1, 2]}' method.num_speculative_tokens=3"
    )
    assert again(line, "method=auto", module="autotune") == "python -m autotune method=auto"


def test_it_stands_in_the_terminal_the_page_and_best_json(commands) -> None:
    """The fake engine accepts at most four tokens, and a drafted one costs 5 % of a step."""
    done = commands.bench("method.num_speculative_tokens=8")
    assert done.status == 0, done.err
    findings = json.loads((done.folder / "best.json").read_text())["details"]["diagnosis"]
    long = next(finding for finding in findings if finding["rule"] == "too_long")
    assert long["numbers"]["keep"] == 4
    assert long["next"].endswith("method.num_speculative_tokens=4")
    assert f"- {long['says']}" in done.out
    assert f"    try: {long['next']}" in done.out
    page = html.unescape((done.folder / "report.html").read_text())
    assert "What limits it, and what to try" in page
    assert long["says"] in page
    assert long["next"] in page
    assert "diagnosis" not in done.line


UNWELL = {
    "layers": {"acceptance_per_position": [0.3, 0.1]},
    "sampled": {"acceptance_per_position": [0.3], "temperature": 1.0},
    "few": {"num_drafts": 100},
    "long": {"tpot_ms": {"mean": 2 / 3}},
    "sure": {"acceptance_per_position": [0.9, 0.85, 0.82, 0.8]},
    "at the bound": {
        "acceptance_per_position": [0.9, 0.85, 0.82, 0.8],
        "searched": ("num_speculative_tokens",),
        "bound": 4,
        "command_line": "python -m autotune method=eagle3",
    },
    "slow draft": {"time_split": {"draft": 0.5, "target": 0.5}},
    "dear rows": {"tpot_ms": {"mean": 0.8}},
    "dear rows of a tree": {"tpot_ms": {"mean": 0.8}, "config": {"speculative_token_tree": "[(0,)]"}},
    "one of several": {"several": True, "command_line": "python -m autotune method=auto", "tpot_ms": {"mean": 0.8}},
    "crossover": batches({1: 1.8, 8: 0.9}),
    "memory": {"num_drafts_cut": 3},
    "less memory": {"num_drafts_cut": 3, "engine": {"kv_cache_tokens": 512}},
    "slow baseline": {"base": {"time_split": {"draft": 0.0, "target": 0.6}}},
    "threads": {"engine": {"num_threads": 1}},
    "noise": {"interval": (0.97, 1.05), "speedup": 1.01},
    "noise under load": {
        "interval": (0.97, 1.05),
        "speedup": 1.01,
        "details": {"load": {"kind": "closed_loop"}, "units": 6},
    },
}


@pytest.mark.parametrize("what", UNWELL)
def test_what_to_type_next_is_a_legal_command(what: str) -> None:
    found = [finding.next for finding in diagnose(seen(**UNWELL[what])) if finding.next]
    assert found
    for command in found:
        words = shlex.split(command)
        if words[2] != "autotune.train":
            check_words(words[3:], searching=words[2] == "autotune")


def check_words(words: list[str], *, searching: bool) -> None:
    """As far as a command can be checked without an engine."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = plain(compose("config", overrides=words))
    config.pop("experiment", None)
    settings = resolve(config)
    check_load(settings)
    for method in settings.all_methods:
        SpeculativeConfig.from_any(arms.speculative_config(settings, {"method": method.name}))
    if searching:
        space_of(settings).starts()
