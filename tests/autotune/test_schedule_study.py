"""`study=schedule` as a study: killed and resumed, at several contexts, passes added where it is unsure, watched."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time

import pytest

from tests.autotune.conftest import Commands, Done

WORDS = ("study=schedule", "load=closed_loop", "load.passes=3", "load.confirm_passes=2", "engine.max_num_seqs=8",
         "study.num_speculative_tokens=[1,3]", "+engine.chain={crowd: 4.0}")  # fmt: skip


def details(done: Done) -> dict:
    return json.loads((done.folder / "best.json").read_text())["details"]


def killed(commands: Commands, words: tuple[str, ...], after_lines: int) -> list[str]:
    """What was in trials.jsonl when the command was ended by SIGKILL, after so many lines of trials."""
    process = subprocess.Popen(commands.words(*commands.fake(*words)), cwd=commands.project,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # fmt: skip
    assert process.stdout is not None
    seen, limit = 0, time.monotonic() + 60
    for line in process.stdout:
        seen += "num_speculative_tokens=" in line
        if seen >= after_lines or time.monotonic() > limit:
            break
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGKILL
    return next(commands.outputs.glob("20*/*/trials.jsonl")).read_text().splitlines()


def test_a_killed_schedule_goes_on_with_the_next_cell(commands: Commands) -> None:
    slow = (*WORDS, "engine.slow=0.0005")
    early = killed(commands, slow, 3)  # two batch sizes, of two draft lengths each
    assert 3 <= len(early) < 8
    time.sleep(1.1)  # another second, another folder
    done = commands.tune(*slow)
    assert done.status == 0, done.err
    assert "goes on: " in done.out
    records = (done.folder / "trials.jsonl").read_text().splitlines()
    assert records[: len(early)] == early
    assert [trial["number"] for trial in done.trials] == list(range(8))
    cells = [(trial["parameters"]["load.concurrency"], trial["parameters"]["num_speculative_tokens"])
             for trial in done.trials]  # fmt: skip
    assert len(set(cells)) == 8
    assert details(done)["schedule"]["buckets"] == [[1, 7, 3], [8, 8, 0]]
    assert details(done)["schedule"]["crossovers"] == [{"tokens": 3, "batch": 8, "low": 8, "high": 8}]


def test_an_ended_schedule_is_made_anew_unless_told_otherwise(commands: Commands) -> None:
    few = (*WORDS, "study.batch_sizes=[1,4]", "load.passes=2")
    first, again = commands.tune(*few), commands.tune(*few)
    assert "goes on" not in again.out
    more = commands.tune(*few, "study.resume=always")
    assert "goes on: 4 of 4" in more.out
    assert [t["started"] for t in more.trials] == [t["started"] for t in again.trials]
    assert [t["started"] for t in first.trials] != [t["started"] for t in again.trials]


def test_a_name_stands_for_one_plan(commands: Commands) -> None:
    few = (*WORDS, "study.batch_sizes=[1,4]", "load.passes=2", "study.name=mine", "study.resume=always")
    assert commands.tune(*few).status == 0
    other = commands.tune(*few, "study.num_speculative_tokens=[1,2]")
    assert (other.status, "was begun with" in other.err) == (2, True)
    search = commands.tune("study.name=mine", "study.resume=always", "study.n_trials=1")
    assert (search.status, "made a schedule" in search.err) == (2, True)


CONTEXTS = (*WORDS[:-1], "study.context_lengths=[16,64]", "study.batch_sizes=[1,4,8]",
            "+engine.chain={crowd: 0.5, context: 0.08}")  # fmt: skip


def test_a_schedule_over_contexts(commands: Commands) -> None:
    """A drafted row costs more the longer the prompts are: at 8 requests 3 pay behind 16 tokens, not behind 64."""
    done = commands.tune(*CONTEXTS, "study.context_weights=[3,1]")
    assert done.status == 0, done.err
    found = details(done)["schedule"]
    short, long = found["contexts"]
    assert [(each["context"], each["weight"]) for each in (short, long)] == [(16, 0.75), (64, 0.25)]
    assert short["buckets"] == [[1, 8, 3]]
    assert long["buckets"] == [[1, 7, 3], [8, 8, 0]]
    assert found["buckets"] == [[1, 8, 3]]
    assert {trial["parameters"]["context_length"] for trial in done.trials} == {16, 64}
    for row, one, other in zip(found["batches"], short["batches"], long["batches"], strict=True):
        speeds = [each["options"][2]["speedup"] for each in (row, one, other)]
        assert speeds[0] == pytest.approx(speeds[1] ** 0.75 * speeds[2] ** 0.25)
    assert "context of 64 tokens" in done.out
    assert "Alone, other schedules would be best" in done.out
    lengths = {r["prompt_tokens"] for r in served(done, "context-64-batch-8")}
    assert lengths == {64}


def served(done: Done, cell: str) -> list[dict]:
    lines = next((done.folder / "samples").glob(f"{cell}-0*.jsonl")).read_text().splitlines()
    return [request for line in lines for run in json.loads(line)["runs"].values() for request in run["requests"]]


def test_a_context_that_does_not_fit_the_model_is_one_line(commands: Commands) -> None:
    done = commands.tune(*WORDS, "study.context_lengths=[16,4090]")
    assert done.status == 2
    assert "study.context_lengths ends with 4090, with workload.max_tokens=40 more than engine.max_model" in done.err
    assert len(done.err.strip().splitlines()) == 1


def test_only_a_schedule_reads_what_is_of_schedules(commands: Commands) -> None:
    done = commands.tune("+study.context_lengths=[16]")
    assert (done.status, "only study=schedule reads it" in done.err) == (2, True)


NOISY = (*WORDS[:-1], "+engine.chain={crowd: 3.8}", "study.batch_sizes=[1,6]", "engine.noise=0.5", "study.max_passes=4",
         "workload.num_prompts=12")  # fmt: skip


def windows(done: Done) -> dict[int, int]:
    found: dict[int, int] = {}
    for trial in done.trials:
        if trial["parameters"]["num_speculative_tokens"] == 1:
            batch = trial["parameters"]["load.concurrency"]
            found[batch] = found.get(batch, 0) + trial["units_planned"]
    return found


def test_passes_are_added_where_it_is_unsure_what_is_best(commands: Commands) -> None:
    """Alone 3 tokens are surely best. At 6 requests a drafted row costs a whole step, so that all are as good, and the
    clock is noisy.
    """
    plain, more = (commands.tune(*NOISY, "study.max_drift=null", *precision)
                   for precision in ((), ("study.precision=0.002",)))  # fmt: skip
    assert windows(plain) == {1: 3, 6: 3}
    assert windows(more) == {1: 3, 6: 4}
    assert "Batch size 6 stayed unsure after 4 passes" in more.out


def test_a_budget_ends_passes_and_keeps_two_of_every_cell(commands: Commands) -> None:
    done = commands.tune(*WORDS, "load.passes=6", "engine.slow=0.0005", "study.budget_minutes=0.01")
    assert done.status == 0, done.err
    assert set(windows(done).values()) == {2}
    assert "Study.budget_minutes=0.01 is spent but for the confirmation" in done.out


def test_a_cell_that_is_doubted_is_measured_again(commands: Commands) -> None:
    """The machine is slow in the middle of the first batch size; each of its windows serves 8 prompts 6 times."""
    done = commands.tune(*WORDS, "study.batch_sizes=[1,4]", "engine.slow_requests=[60,110]")
    assert done.status == 0, done.err
    trust = details(done)["trust"]
    assert [attempt["cause"] for attempt in trust["invalid_attempts"]] == ["the baseline drifted"]
    assert trust["invalid_trials"] == []
    assert trust["confirmation"]["doubts"] == []
    assert list(done.folder.glob("samples/batch-1-*-invalid-1.jsonl"))
    assert "1 measurement was doubted and made again" in done.out


def test_a_cell_that_is_doubted_to_the_end_is_used_and_marked(commands: Commands) -> None:
    done = commands.tune(*WORDS, "study.batch_sizes=[1,4]", "engine.slow_requests=[60,110]", "study.max_repeats=0")
    assert done.status == 0, done.err
    assert [trial["status"] for trial in done.trials] == ["invalid", "invalid", "complete", "complete"]
    assert details(done)["trust"]["invalid_trials"] == [0]
    assert "What was measured at batch size 1 is doubted, and used for want of better" in done.out
