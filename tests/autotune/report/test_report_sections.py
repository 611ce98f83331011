"""Every section of the page comes from its data and is not there without."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from autotune.report.data import read
from autotune.report.write import render
from tests.autotune.report import examples

# What is only there with the data: the heading, the details that bring it, and words from the data.
SECTIONS: dict[str, tuple[str, dict[str, Any], tuple[str, ...]]] = {
    "pareto": ("Several objectives", {"pareto": examples.PARETO}, ("1.80x [1.70, 1.90]", "no speculation</td>")),
    "robust": (
        "One configuration for all workloads",
        {"robust": examples.ROBUST},
        ("Weights: code 70 %, chat 30 %", "1.77x [1.60, 1.90]", "3.1 %", "1.66x [1.50, 1.80]", "0.85x"),
    ),
    "break-even": ("acceptance may fall by", {"break_even": examples.BREAK_EVEN}, (">35 %<", "[0.31, 0.47]")),
    "schedule": ("The schedule", {"schedule": examples.SCHEDULE}, ("8 to beyond", "4 to 7", "0.71x [0.61, 0.81]")),
    "contexts": (
        "The schedule by context length",
        {"schedule": {**examples.SCHEDULE, "contexts": [{**examples.SCHEDULE, "context": 4096, "weight": 1.0}]}},
        ("Context of 4,096 tokens", "draft 4 for 1 to 3, 2 for 4 to 7, 0 for 8 requests"),
    ),
    "objectives": (
        "The chosen configuration on the held-out prompts",
        {"pareto": examples.PARETO, "objectives": [{"name": "ttft_p95", "factor": 0.97, "interval": [0.9, 1.02]}]},
        ("ttft p95", "0.97x", "[0.90, 1.02]"),
    ),
    "model": ("Prediction against measurement", {"model": examples.MODEL}, ("5.2 % apart", "50 % of the 90 %")),
    "step costs": ("What a step costs", {"model": examples.MODEL}, ("1.500", "0.100")),
    "constraints": ("Limits", {"constraints": examples.CONSTRAINTS}, ("151.2", "163.5", "at most 200", "not kept")),
    "trust": ("What was checked", {"trust": examples.TRUST, "stopped": ""}, ("it rose by 41 %", "had no effect")),
    "stop": ("What was checked", {"stopped": "the budget is spent"}, ("ended early: the budget is spent",)),
    "prompts": (
        "The same configuration, prompt by prompt",
        {"log_gains": {"prompt-0": 0.3, "prompt-1": -0.1}},
        ("1 of 2 prompts gained",),
    ),
    "diagnosis": ("What limits it", {"diagnosis": [{"says": "Too slow.", "next": "go on"}]}, ("Too slow.", "go on")),
}


def text(page: str) -> str:
    """Without what is inside scripts and styles."""
    return re.sub(r"<(script|style)>.*?</\1>", "", page, flags=re.DOTALL)


def page_of(at: Path, *, trials: list[dict[str, Any]] | None = None, **details: Any) -> str:
    return render(read(examples.folder(at, examples.best(**details), trials)))


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> str:
    return page_of(tmp_path_factory.mktemp("plain"))


@pytest.mark.parametrize("name", SECTIONS)
def test_a_section_comes_from_its_data_only(tmp_path: Path, plain: str, name: str) -> None:
    heading, details, said = SECTIONS[name]
    page = text(page_of(tmp_path, **details))
    assert heading in page
    assert [words for words in said if words not in page] == []
    assert heading not in text(plain)


def test_the_plain_page_has_the_answer_and_what_every_run_has(plain: str) -> None:
    page = text(plain)
    answer = ("1.43x", "[1.23, 1.65]", "Faster than no speculation", "confirmed on held-out")
    charts = ("How far the drafts hold", "Where the time goes", "Every trial, in order", "Environment")
    assert [words for words in (*answer, *charts) if words not in page] == []
    assert "Which knobs mattered" not in page
    assert "Knob by knob" not in page


def test_a_run_without_a_winner_has_a_page(tmp_path: Path) -> None:
    run = examples.best(notes=["Nothing was measured to the end."])
    run |= {"speedup": None, "speedup_ci": None, "confirmed": False, "speculative_config": None, "parameters": {},
            "metrics": {"acceptance_per_position": []}, "all_metrics": {}, "all_baseline": {}}  # fmt: skip
    trials = [examples.trial(0, None, "failed"), examples.trial(1, None, "predicted")]
    page = text(render(read(examples.folder(tmp_path, run, trials))))
    assert "No result" in page
    assert "Nothing was measured to the end." in page
    assert "What to deploy" not in page
    assert "Every trial, in order" not in page


def test_importance_needs_enough_trials_and_finds_the_knob_that_decides(tmp_path: Path) -> None:
    page = text(page_of(tmp_path / "all", trials=examples.grid()))
    found = re.findall(r"<td>(\w+)</td><td>(\d+) %</td>", page.partition("Which knobs mattered")[2])
    assert [name for name, _ in found[:2]] == ["num_speculative_tokens", "prompt_lookup_min"]
    assert int(found[0][1]) > 80
    few = text(page_of(tmp_path / "few", trials=examples.grid()[:14]))
    assert "14 configurations were measured, 15 are needed to tell" in few
    assert "PED-ANOVA" not in few


def test_what_is_not_believed_says_nothing_of_a_knob(tmp_path: Path) -> None:
    trials = [examples.trial(0, 1.2, k=1), examples.trial(1, 9.9, "invalid", k=2), examples.trial(2, 1.3, k=3)]
    page = text(page_of(tmp_path, trials=trials))
    assert "9.90x" in page.partition("Knob by knob")[0]
    assert re.findall(r"<tr><td>(\d)</td><td>([\d.]+x)</td>", page.partition("Knob by knob")[2]) == [
        ("3", "1.30x"),
        ("1", "1.20x"),
    ]
    assert "are needed to tell" not in page  # one knob has nobody to share with


def test_importance_knows_knobs_that_only_some_methods_have(tmp_path: Path) -> None:
    others = [examples.trial(16 + n, 1.1, method="suffix", factor=0.5 * n) for n in range(4)]
    trials = [t | {"parameters": {"method": "ngram", **t["parameters"]}} for t in examples.grid()] + others
    page = text(page_of(tmp_path, trials=trials))
    assert "PED-ANOVA over 20 configurations" in page
    assert "<h3>factor</h3>" in page
    assert page.index("<h3>num speculative tokens</h3>") < page.index("<h3>prompt lookup min</h3>")


def test_a_configuration_measured_twice_is_one_point(tmp_path: Path) -> None:
    trials = [examples.trial(0, 1.2, k=1), examples.trial(1, 1.4, k=2), examples.trial(2, 1.3, k=1)]
    trials[2]["repeats"] = [0]
    page = text(page_of(tmp_path, trials=trials))
    rows = re.findall(r"<tr><td>(\d)</td><td>([\d.]+x)</td>", page.partition("Knob by knob")[2])
    assert rows == [("2", "1.40x"), ("1", "1.30x")]
    assert "of a configuration measured before" in page


def test_a_schedule_is_no_search(tmp_path: Path) -> None:
    page = text(page_of(tmp_path, trials=examples.grid(), schedule=examples.SCHEDULE))
    assert [words for words in ("The search", "Knob by knob", "Which knobs mattered") if words in page] == []


def test_the_tree_is_drawn(tmp_path: Path, plain: str) -> None:
    run = examples.best()
    run["speculative_config"] |= {"speculative_token_tree": examples.TREE}
    page = render(read(examples.folder(tmp_path, run)))
    assert page.count('<svg class="tree"') == 1
    assert "tree of 3 nodes, 2 deep" in page
    assert '<svg class="tree"' not in plain


def test_the_page_has_the_numbers_of_best_json(tmp_path: Path) -> None:
    at = examples.folder(tmp_path)
    page = text(render(read(at)))
    best = json.loads((at / "best.json").read_text())
    low, high = best["speedup_ci"]
    assert f"{best['speedup']:.2f}x" in page
    assert f"[{low:.2f}, {high:.2f}]" in page
    rows = dict(re.findall(r'<td class="l">(.*?)</td><td class="n">(.*?)</td>', page))
    mine = dict(re.findall(r'<td class="l">(.*?)</td><td class="n">.*?</td><td class="n">(.*?)</td>', page))
    for label, name, level, digits in (
        ("Time per output token, median (ms)", "tpot_ms", "p50", 3),
        ("Time to first token, p95 (ms)", "ttft_ms", "p95", 2),
        ("Output tokens a second", "output_tokens_per_s", None, 0),
    ):
        values = [best[arm][name][level] if level else best[arm][name] for arm in ("all_baseline", "all_metrics")]
        assert [rows[label], mine[label]] == [f"{value:.{digits}f}" for value in values]
    assert re.search(r"−38 %</td>\s*<td class=\"better\">better", page)  # 0.8 to 0.5 ms
    assert re.search(r"\+60 %</td>\s*<td class=\"better\">better", page)  # 1000 to 1600 tokens a second


def test_the_page_asks_no_host_for_anything(plain: str) -> None:
    rule = re.search(r'http-equiv="Content-Security-Policy" content="(.*?)"', plain)
    assert rule is not None
    assert "default-src &#39;none&#39;" in rule[1]
    assert "http" not in rule[1]
    outside = re.findall(r'(?:src|href|action)\s*=\s*["\']?\s*(?:https?:)?//', text(plain))
    assert outside == []
    assert "@import" not in plain.partition("<script>")[0]
    assert re.findall(r"<(?:link|img|iframe|object|embed)\b", text(plain)) == []
