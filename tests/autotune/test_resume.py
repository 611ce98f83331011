"""Killed and started again with the same command: the asked number of trials, none lost, none run twice."""

from __future__ import annotations

import os
import signal
import subprocess
import time

import pytest

SLOW = ("engine.slow=0.0005", "study.n_trials=8", "study.prune_alpha=0", "study.model=false")


def measured(trials: list[dict]) -> list[tuple]:
    return [(trial["number"], tuple(trial["parameters"].items()), trial["started"]) for trial in trials]


def start_and_end_early(commands, words: tuple[str, ...], after_trials: int, how: signal.Signals) -> tuple[int, str]:
    process = subprocess.Popen(
        commands.words(*commands.fake(*words)),
        cwd=commands.project,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Whoever runs the tests in the background of a script has them ignore Ctrl-C, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    seen, limit = 0, time.monotonic() + 60
    assert process.stdout is not None
    for line in process.stdout:
        seen += "num_speculative_tokens=" in line
        if seen >= after_trials or time.monotonic() > limit:
            break
    time.sleep(0.15)  # into the next trial
    os.kill(process.pid, how)
    _, errors = process.communicate(timeout=30)
    return process.returncode, errors


def test_kill_9_and_again(commands) -> None:
    status, _ = start_and_end_early(commands, SLOW, 3, signal.SIGKILL)
    assert status == -signal.SIGKILL
    early = next(commands.outputs.glob("20*/*/trials.jsonl")).read_text().splitlines()
    assert 3 <= len(early) < 8
    time.sleep(1.1)  # another second, another folder
    done = commands.tune(*SLOW)
    assert done.status == 0, done.err
    assert "goes on: " in done.out
    assert [trial["number"] for trial in done.trials] == list(range(8))
    assert sum(done.line["trials"].values()) == 8
    records = (done.folder / "trials.jsonl").read_text().splitlines()
    assert records[: len(early)] == early


def test_ctrl_c_says_how_to_go_on(commands) -> None:
    status, errors = start_and_end_early(commands, SLOW, 1, signal.SIGINT)
    assert status == 130
    assert "Go on with: python -m autotune --config-dir" in errors
    assert "Traceback" not in errors


def test_a_study_that_ended_is_begun_anew_unless_told_otherwise(commands) -> None:
    first = commands.tune("study.n_trials=2")
    again = commands.tune("study.n_trials=2")
    more = commands.tune("study.n_trials=4", "study.resume=always")
    assert "goes on" not in again.out
    assert "goes on: 2 of 4" in more.out
    assert measured(again.trials) != measured(first.trials)
    assert measured(more.trials)[:2] == measured(again.trials)


def test_one_process_a_study(commands) -> None:
    process = subprocess.Popen(
        commands.words(*commands.fake(*SLOW)),
        cwd=commands.project,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    next(line for line in process.stdout if "num_speculative_tokens=" in line)
    second = commands.tune(*SLOW)
    process.kill()
    process.communicate()
    assert second.status == 2
    assert "is being run by another process, and SQLite serves one at a time" in second.err


@pytest.mark.parametrize("words", [("method.search.num_speculative_tokens=null",)])
def test_a_name_can_not_be_used_for_another_space(commands, words: tuple[str, ...]) -> None:
    commands.tune("study.n_trials=1", "study.name=mine")
    other = commands.tune("study.n_trials=2", "study.name=mine", "study.resume=always", *words)
    assert other.status == 2
    assert "was begun with other dimensions" in other.err


def test_kill_9_while_the_model_proposes(commands) -> None:
    """Of a study in which the model proposes and leaves out: goes on, and measures no point twice."""
    words = ("engine.slow=0.0005", "study.n_trials=8", "study.prune_alpha=0", "study.startup_trials=2")
    status, _ = start_and_end_early(commands, words, 4, signal.SIGKILL)
    assert status == -signal.SIGKILL
    early = next(commands.outputs.glob("20*/*/trials.jsonl")).read_text().splitlines()
    time.sleep(1.1)  # another second, another folder
    done = commands.tune(*words)
    assert done.status == 0, done.err
    assert "goes on: " in done.out
    records = (done.folder / "trials.jsonl").read_text().splitlines()
    assert records[: len(early)] == early
    assert [trial["number"] for trial in done.trials] == list(range(len(done.trials)))
    points = [tuple(trial["parameters"].items()) for trial in done.trials if trial["status"] != "predicted"]
    assert len(points) == len(set(points))
    proposed = [trial for trial in done.trials[2:] if trial["prediction"]]
    assert proposed, "the model was at work"
