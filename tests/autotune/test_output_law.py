"""Answers that are not the model's own: measured, not failed, and labelled wherever anybody reads a number."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from autotune.analysis import Verdict
from autotune.choice import RUNNER_UP, WINNER, choose
from autotune.confirm import Confirmed
from autotune.dimension import Dimension
from autotune.measurement import measurement
from autotune.space import Space
from autotune.stats import Interval
from autotune.status import Status
from autotune.trial import Trial
from tests.autotune.test_tracking import runs_of

LOSSY = ("method.rejection_sample_method=typical", "engine.fault=lossy", "engine.fault_at=4")
SYNTHETIC = (
    "method.rejection_sample_method=synthetic", "method.synthetic_acceptance_length=3", *LOSSY[1:]
)  # fmt: skip
LAWS = {"lossy": LOSSY, "synthetic": SYNTHETIC}
FACTOR = re.compile(r"\d\.\d\dx")


@pytest.fixture(scope="module", params=LAWS)
def done(request, make_commands, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A study in which the chosen configuration's answers differ from the baseline's."""
    commands = make_commands(tmp_path_factory.mktemp(request.param))
    database = commands.outputs.parent / "mlflow.db"
    found = commands.tune(
        *LAWS[request.param], "study.n_trials=2", f"tracking.uri=sqlite:///{database}",
        "workload.num_confirm_prompts=12", "method.search.num_speculative_tokens=null",
        "method.search.prompt_lookup_max=null",
    )  # fmt: skip
    return SimpleNamespace(law=request.param, done=found, database=database)


def test_differences_are_no_failure_and_no_losslessness(done: SimpleNamespace) -> None:
    assert done.done.status == 0, done.done.err
    line = done.done.line
    assert (line["output_law"], line["lossless"]) == (done.law, False)
    assert line["speedup"] > 1
    assert line["confirmed"] is (done.law == "lossy"), "what assumes its acceptance has nothing to confirm"
    assert [trial["status"] for trial in done.done.trials] == ["complete", "complete"]
    assert {trial["output_law"] for trial in done.done.trials} == {done.law}
    best = json.loads((done.done.folder / "best.json").read_text())
    assert best["details"]["lossless"]["output_law"] == done.law
    assert 0 < best["details"]["lossless"]["differing_answers"] <= best["details"]["lossless"]["answers"] == 12


def test_every_line_with_a_factor_says_what_it_is(done: SimpleNamespace) -> None:
    *text, _ = done.done.out.strip().splitlines()
    lines = [line for line in text if FACTOR.search(line)]
    assert len(lines) >= 4, "two trials, the headline, the search's own number"
    assert all(done.law in line for line in lines), lines
    printed = "\n".join(text)
    assert f"{done.law} speed-up" in printed
    assert f", {done.law.upper()}" in printed
    assert "answers differ from the baseline's" in printed
    assert "vllm serve" not in printed


def test_the_report_has_a_banner_and_no_plain_speed_up(done: SimpleNamespace) -> None:
    page = (done.done.folder / "report.html").read_text()
    body = page[page.index("<body>") :]
    assert '<section class="banner">' in body
    assert f"<b>{done.law.upper()}</b>" in body
    assert f"{done.law} speed-up" in body
    assert re.search(rf"<title>.*x {done.law}</title>", page)
    assert body.count(f"x {done.law}</td>") == 2
    assert "No speculative_config.json was written" in body
    assert "vllm serve" not in body
    assert "NOT lossless" not in body


def test_nothing_is_exported(done: SimpleNamespace) -> None:
    assert not (done.done.folder / "speculative_config.json").exists()
    best = json.loads((done.done.folder / "best.json").read_text())
    assert best["speculative_config"]["rejection_sample_method"] in ("typical", "synthetic")
    assert f'output_law="{done.law}"' in (done.done.folder / "prometheus.txt").read_text()


def test_the_tracking_has_the_tag_and_another_name(done: SimpleNamespace) -> None:
    runs = runs_of(done.database)
    assert len(runs) == 3
    assert {run.data.tags["output_law"] for run in runs} == {done.law}
    assert all(f"{done.law}_speedup" in run.data.metrics for run in runs)
    assert not any("speedup" in run.data.metrics for run in runs)


def test_a_comparison_tells_them_apart_and_puts_the_synthetic_last(commands) -> None:
    words = ("method.rejection_sample_method=synthetic,typical,standard", *LOSSY[1:], "engine.fault_at=9")
    done = commands.run("-m", *commands.fake(*words), module="autotune.bench")
    assert done.status == 0, done.err
    table = done.out[done.out.index("Comparison") :].splitlines()
    rows = [line for line in table if FACTOR.search(line) and not line.startswith("{")]
    assert ["synthetic" in rows[2], "no: synthetic" in rows[2]] == [True, True]
    assert sum("no: lossy" in row and re.search(r"\dx lossy", row) is not None for row in rows) == 1
    assert sum("lossy" not in row and "x synthetic" not in row for row in rows) == 1


def test_a_search_over_the_ways_of_verifying_labels_each_trial(commands) -> None:
    done = commands.tune(
        *LOSSY[1:], "engine.fault_at=9", "method.rejection_sample_method=standard", "study.n_trials=2",
        "+search.method.rejection_sample_method={categorical: [standard, typical]}",
        "method.search.num_speculative_tokens=null", "method.search.prompt_lookup_max=null",
        "method.search.prompt_lookup_min=null",
    )  # fmt: skip
    assert done.status == 0, done.err
    assert {t["parameters"]["rejection_sample_method"]: t["output_law"] for t in done.trials} == {
        "standard": "target", "typical": "lossy",
    }  # fmt: skip


def test_of_equals_the_lossless_one_is_taken() -> None:
    def one(name: str, k: int, law: str) -> Confirmed:
        trial = Trial(k, {"method.k": k}, Status.COMPLETE, output_law=law)
        return Confirmed(name, trial, {}, Interval(0.5, 0.4, 0.6, 16, ""), Verdict(9, 0, (), output_law=law), {})

    space = Space((Dimension("method.k", "int", 1, 10),), {"method.k": 4})
    tie = Interval(0.0, -0.1, 0.1, 16, "")
    found = {WINNER: one(WINNER, 2, "lossy"), RUNNER_UP: one(RUNNER_UP, 5, "target")}
    assert choose(found, lambda *_: tie, space)[0] == RUNNER_UP
    assert choose({WINNER: found[WINNER], RUNNER_UP: one(RUNNER_UP, 1, "lossy")}, lambda *_: tie, space)[0] == RUNNER_UP
    assert choose(found, lambda *_: Interval(-0.3, -0.4, -0.2, 16, ""), space)[0] == WINNER


@pytest.mark.parametrize("kind", ["measured", "replayed", "predicted"])
@pytest.mark.parametrize("objective", ["tpot", "goodput"])
@pytest.mark.parametrize("law", ["lossy", "synthetic"])
def test_no_words_for_a_factor_lack_the_label(kind: str, objective: str, law: str) -> None:
    found = measurement(kind, objective, law)
    for text in (found.quantity, found.faster, found.slower, found.unit, found.sentence, found.gain):
        assert law in text.lower()
    assert measurement(kind, objective, "target").label == ""


@pytest.mark.parametrize("law", LAWS)
def test_the_real_engine_measures_it(small_model: Path, commands, law: str) -> None:
    words = [word for word in LAWS[law] if not word.startswith("engine.fault")]
    small = ("workload.num_confirm_prompts=3", "workload.max_tokens=24", "tracking=none", "workload.temperature=0.9")
    done = commands.run(f"model={small_model}", *small, *words, "method.prompt_lookup_min=1", module="autotune.bench")
    assert done.status == 0, done.err
    assert (done.line["output_law"], done.line["lossless"]) == (law, False)
    assert done.line["metrics"]["num_draft_tokens"] > 0


def test_a_replay_has_no_other_law(commands, tmp_path: Path) -> None:
    file = tmp_path / "pairs.jsonl"
    file.write_text('{"prompt": [1, 2], "response": [3]}\n' * 2 + '{"prompt": [1, 2, 4], "response": [3]}\n')
    done = commands.run("model=replay", f"model.path={file}", "tracking=none", LOSSY[0])
    assert done.status == 2
    assert "makes the answers lossy, but a replay compares drafts with what was recorded" in done.err
