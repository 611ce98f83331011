"""The commands from outside: what they print, what they leave, how they compare."""

from __future__ import annotations

import json
import subprocess
import sys
import time

KEYS = ["schema", "command", "model", "method", "searched", "workload", "measurement", "warm_requests", "parameters",
"speedup", "speedup_ci", "confirmed", "lossless", "output_law", "metrics", "baseline", "trials", "outputs",
"environment"]  # fmt: skip
METRIC_KEYS = ["tpot_ms", "output_tokens_per_s", "acceptance_rate", "mean_acceptance_length", "tokens_per_target_pass",
               "acceptance_per_position", "num_drafts", "num_draft_tokens", "num_accepted_tokens"]  # fmt: skip
FILES = ["best.json", "config.yaml", "prometheus.txt", "report.html", "speculative_config.json", "study.json",
         "trials.jsonl"]  # fmt: skip


def test_a_study_finds_the_best_and_leaves_everything(commands) -> None:
    done = commands.tune(
        "study.n_trials=10", "method.search.prompt_lookup_min=null", "method.search.prompt_lookup_max=null"
    )
    assert done.status == 0, done.err
    line = done.line
    assert list(line) == KEYS
    assert list(line["metrics"]) == list(line["baseline"]) == METRIC_KEYS
    assert line["parameters"]["num_speculative_tokens"] == 4, "the fake engine accepts at most four tokens"
    assert line["confirmed"] is line["lossless"] is True
    assert line["speedup_ci"][0] <= line["speedup"] <= line["speedup_ci"][1]
    assert line["metrics"]["num_accepted_tokens"] > 0 == line["baseline"]["num_drafts"]
    assert sorted(path.name for path in done.folder.iterdir() if path.is_file()) == FILES
    best = json.loads((done.folder / "best.json").read_text())
    assert {key: best[key] for key in KEYS} == line
    config = json.loads((done.folder / "speculative_config.json").read_text())
    assert config == {"method": "ngram", "num_speculative_tokens": 4, "prompt_lookup_min": 2, "prompt_lookup_max": 5}
    assert len(done.trials) == 10
    assert len((done.folder / "samples" / "trial-000.jsonl").read_text().splitlines()) == 8
    assert len((done.folder / "samples" / "confirm.jsonl").read_text().splitlines()) == 16


def test_no_speculation_against_itself_shows_the_noise(commands) -> None:
    done = commands.tune("method=none")
    assert done.status == 0, done.err
    assert done.line["parameters"] == {}
    assert sum(done.line["trials"].values()) == 1
    assert 0.9 < done.line["speedup"] < 1.1
    assert done.line["confirmed"] is False or done.line["speedup_ci"][0] > 1
    assert (done.folder / "speculative_config.json").read_text().strip() == "null"


def test_bench_measures_one_configuration(commands) -> None:
    done = commands.bench("method.num_speculative_tokens=2")
    assert done.status == 0, done.err
    assert list(done.line) == KEYS
    assert done.line["command"] == "bench"
    assert done.line["parameters"] == {"num_speculative_tokens": 2, "prompt_lookup_min": 2, "prompt_lookup_max": 5}
    assert 2 < done.line["speedup"] < 3
    assert (done.folder / "report.html").is_file()


def test_a_busy_server_pairs_by_window(commands) -> None:
    done = commands.bench("load=closed_loop", "load.concurrency=3", "load.confirm_passes=5")
    assert done.status == 0, done.err
    assert set(done.trials[0]["log_gains"]) == {f"window-{i}" for i in range(5)}
    assert (
        "Student's t over 5 units" in json.loads((done.folder / "best.json").read_text())["details"]["interval_method"]
    )


def test_any_key_of_the_engine_can_be_searched(commands) -> None:
    done = commands.tune("+search.engine.good={categorical: [2, 4]}", "study.n_trials=6", "study.prune_alpha=0",
                         "method.search.prompt_lookup_min=null", "method.search.prompt_lookup_max=null",
                         "method.search.num_speculative_tokens=null")  # fmt: skip
    assert done.status == 0, done.err
    assert "2 configurations" in done.out
    assert {trial["parameters"]["engine.good"] for trial in done.trials} == {2, 4}
    assert done.line["parameters"]["engine.good"] == 4


def test_multirun_ends_with_a_comparison(commands) -> None:
    done = commands.run("-m", *commands.fake("method=none,ngram", "study.n_trials=2", "workload.num_prompts=4"))
    assert done.status == 0, done.err
    assert "Comparison" in done.out
    sweep = done.line
    assert [job["line"]["method"] for job in sweep["jobs"]] == ["none", "ngram"]
    assert json.loads((commands.project / sweep["outputs"] / "comparison.json").read_text()) == sweep
    page = (commands.project / sweep["outputs"] / "report.html").read_text()
    assert [f'href="{number}/report.html"' in page for number in range(len(sweep["jobs"]))] == [
        bool(job.get("line")) for job in sweep["jobs"]
    ]


def test_a_bad_job_does_not_end_the_sweep(commands) -> None:
    done = commands.run("-m", *commands.fake("study.n_trials=0,1", "method=none"))
    assert done.status == 2
    assert [sorted(set(job) - {"number", "overrides"}) for job in done.line["jobs"]] == [["error"], ["line"]]


def test_help_is_quick_and_loads_nothing_heavy(commands) -> None:
    began = time.perf_counter()
    done = commands.run("--help")
    assert done.status == 0
    assert time.perf_counter() - began < 3
    assert "ngram, none, suffix" in done.out
    code = (
        "import sys; sys.argv[1:] = ['--help']\nfrom autotune.cli import main\n"
        "try: main('tune')\nexcept SystemExit: pass\n"
        "print([name for name in ('torch', 'transformers', 'mlflow', 'optuna', 'scipy') if name in sys.modules])"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=commands.project, capture_output=True, text=True, check=True
    )
    assert loaded.stdout.strip().endswith("[]")


def test_the_report_can_be_made_again(commands) -> None:
    done = commands.bench()
    page = (done.folder / "report.html").read_text()
    (done.folder / "report.html").unlink()
    again = subprocess.run(
        [sys.executable, "-m", "autotune.report", str(done.folder)],
        cwd=commands.project,
        capture_output=True,
        check=False,
    )
    assert again.returncode == 0
    assert (done.folder / "report.html").read_text() == page
    assert (
        "https://"
        not in page.replace(page[page.index("<script>") : page.index("</script>")], "").split("Plotly.newPlot")[0]
    )
    for part in ("confirmed on held-out prompts", "lossless", "How it was measured", "Environment", "Plotly.newPlot"):
        assert part in page
