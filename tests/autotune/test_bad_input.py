"""Wrong input: one clear line on stderr, exit status 2, no traceback, nothing on stdout that looks like a result."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

CHEAP = {
    "unknown method": (["method=ngrm"], "unknown method 'ngrm'; did you mean 'ngram'?"),
    "unknown workload": (["workload=sumarization"], "did you mean 'summarization'?"),
    "unknown model": (["model=tinny"], "did you mean 'tiny'?"),
    "unknown load": (["load=closed"], "unknown load 'closed'"),
    "unknown preset": (["experiment=smok"], "did you mean 'smoke'?"),
    "unknown group": (["wrkload=chat"], "did you mean 'workload'?"),
    "model folder missing": (["model=/no/such/folder"], "does not exist"),
    "unknown key": (["study.n_trails=3"], "did you mean 'study.n_trials'?"),
    "unknown key of the method": (["+method.numspec=3"], "unknown speculative config field 'numspec'"),
    "text for a number": (["study.n_trials=abc"], "study.n_trials is 'abc'; it must be a whole number"),
    "fraction for a count": (["study.n_trials=2.5"], "it must be a whole number"),
    "no trials": (["study.n_trials=0"], "study.n_trials is 0; it must be at least 1"),
    "negative temperature": (["workload.temperature=-1"], "workload.temperature is -1.0"),
    "unknown choice": (["study.resume=maybe"], "allowed: auto, always, never"),
    "K of 0": (["method.num_speculative_tokens=0"], "outside what is searched"),
    "K too large": (["method.num_speculative_tokens=500"], "outside what is searched"),
    "lookup min above max": (["method.prompt_lookup_max=1"], "method.prompt_lookup_max is 1"),
    "bounds turned round": (["+search.method.num_speculative_tokens={int: [9, 2]}"], "must not exceed the second"),
    "unknown kind": (["+search.method.num_speculative_tokens={ints: [1, 2]}"], "it must be like {int: [1, 8]}"),
    "search of no key": (["+search.method.nothing={int: [1, 2]}"], "no key of the configuration"),
    "search of the prompts": (["+search.workload.max_tokens={int: [1, 2]}"], "would change what is compared"),
    "no load": (["load.concurrency=0"], "it must be at least 1"),
    "load above the limit": (["load=closed_loop", "load.concurrency=99"], "more than engine.max_num_seqs=8"),
    "no rate": (["load=poisson", "load.rate=0"], "load.rate is 0.0; it must be a number above 0"),
    "text for a rate": (["load=poisson", "load.rate=fast"], "load.rate is 'fast'; it must be a number"),
    "a ramp below zero": (["load=ramp", "load.rate_end=-1"], "load.rate_start and load.rate_end are [2.0, -1.0]"),
    "no steps": (["load=steps", "load.rates=[]"], "load.rates is []; they must be"),
    "no trace": (["load=trace"], "load.path is null; give a file of arrival times"),
    "no such trace": (["load=trace", "load.path=/no/such.csv"], "/no/such.csv does not exist"),
    "trace in another form": (["load=trace", "load.path=README.md"], "README.md, line 1: '# spectune' is no time"),
    "a rate where none is read": (["+load.rate=3"], "load.rate has no effect with load=single; allowed: concurrency"),
    "unknown limit": (["load=poisson", "+load.slo.itl_ms=3"], "unknown key load.slo.itl_ms"),
    "negative limit": (["load=poisson", "load.slo.ttft_ms=-3"], "load.slo.ttft_ms is -3.0; it must be at least 0"),
    "goodput without limits": (["load=poisson", "objective=goodput"], "load.slo names no limit; give at least one"),
    "goodput of one request": (["objective=goodput"], "but load=single serves one request at a time"),
    "unknown objective": (["objective.metric=tpott"], "did you mean 'tpot'?"),
    "broken grammar": (["study.n_trials=[1"], "error: "),
    "no such file": (["workload=jsonl", "workload.options.path=/no/such.jsonl"], "/no/such.jsonl"),
    "storage of no kind": (["study.storage=nonsense://x"], "study.storage is 'nonsense://x'"),
    "storage nowhere": (["study.storage=sqlite:////no/such/folder/x.db"], "cannot be opened"),
}


def check(done, part: str) -> None:
    assert done.status == 2, done.out + done.err
    assert done.err.count("\n") == 1, done.err
    assert done.err.startswith("error: ")
    assert part in done.err
    assert "{" not in done.out


RUN_ALL = """
import contextlib, io, json, sys
from autotune.cli import main
found = {}
for name, words in json.loads(sys.argv[1]).items():
    out, err = io.StringIO(), io.StringIO()
    sys.argv = ["autotune", *words]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main("tune")
    found[name] = (status, out.getvalue(), err.getvalue(), "torch" in sys.modules)
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def refused(make_commands, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str, str, bool]]:
    """What every cheap case came to: one process for all, to save its start."""
    made = make_commands(tmp_path_factory.mktemp("cheap"))
    cases = {}
    for name, (words, _) in CHEAP.items():
        model = [] if any(word.startswith("model=") for word in words) else [f"model={made.model}"]
        cases[name] = [f"outputs={made.outputs}", "tracking=none", *model, *words]
    done = subprocess.run(
        [sys.executable, "-c", RUN_ALL, json.dumps(cases)],
        cwd=made.project,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", CHEAP)
def test_refused_before_an_engine_is_loaded(name: str, refused) -> None:
    status, out, err, loaded_torch = refused[name]
    check(SimpleNamespace(status=status, out=out, err=err), CHEAP[name][1])
    assert not loaded_torch


def test_refused_as_a_command(commands) -> None:
    check(commands.run("tracking=none", "method=ngrm"), "did you mean 'ngram'?")


def test_model_folder_without_weights(commands) -> None:
    (commands.model / "model.safetensors").unlink()
    check(commands.run("tracking=none", f"model={commands.model}"), "has no weights")


def test_outputs_that_cannot_be_written(commands, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    check(commands.run("tracking=none", f"outputs={tmp_path / 'file'}"), "choose another folder with outputs=FOLDER")


@pytest.mark.parametrize(
    ("content", "part"), [("", "is empty"), ('{"prompt": "a"\n', "line 1"), ('{"promt": "a"}\n', "promt")]
)
def test_prompt_files(commands, tmp_path: Path, content: str, part: str) -> None:
    file = tmp_path / "prompts.jsonl"
    file.write_text(content)
    check(
        commands.run(f"model={commands.model}", "tracking=none", "workload=jsonl", f"workload.options.path={file}"),
        part,
    )


def test_prompt_longer_than_the_model(commands) -> None:
    check(commands.tune("engine.max_model_len=64"), "more than max_model_len=64")


def test_the_engine_refuses_the_configured_point(commands) -> None:
    check(commands.bench("method.num_speculative_tokens=0"), "num_speculative_tokens=0 is not allowed")
    check(commands.bench("method.prompt_lookup_min=7"), "prompt_lookup_min is above prompt_lookup_max")


def test_unknown_engine_option(commands) -> None:
    check(commands.tune("+engine.nois=1"), "unknown key engine.nois; did you mean 'noise'?")


def test_truncated_weights(commands) -> None:
    source = commands.project / "models" / "tiny"
    for file in source.iterdir():
        (commands.model / file.name).write_bytes(file.read_bytes())
    whole = (source / "model.safetensors").read_bytes()
    (commands.model / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    check(commands.run(f"model={commands.model}", "tracking=none"), "truncated")


def test_report_of_no_run(commands, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "autotune.report", str(tmp_path)],
        cwd=commands.project,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "only a run that has ended has a report" in done.stderr
