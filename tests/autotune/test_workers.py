"""Three processes on one study in a real PostgreSQL: one killed in the middle of a trial, one stopped for a while."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import postgres
import pytest
from optuna.trial import FrozenTrial, TrialState

from autotune.study.attempts import RETRY_OF, attempts

pytestmark = pytest.mark.skipif(bool(postgres.missing()), reason=postgres.missing())
TRIALS = 7
LIMIT = 400.0


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with postgres.server() as found:
        yield found.url


class Workers:
    """Processes with the same command, each on a clock of another time zone, and a view of what they hold."""

    def __init__(self, commands, url: str, name: str, *words: str) -> None:
        self._name, self._commands = name, commands
        self._words = commands.fake(
            "engine.slow=0.001", f"study.n_trials={TRIALS}", "study.prune_alpha=0", "study.model=false", 
            f"study.name={name}", f"study.storage={url}", "study.heartbeat_interval=1", "study.grace_period=4", *words,
        )  # fmt: skip
        self.processes: list[subprocess.Popen[str]] = []
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._storage = optuna.storages.RDBStorage(url)

    def change(self, *words: str) -> None:
        """Whoever starts from here on has these words too."""
        self._words = [*self._words, *words]

    def start(self, zone: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            self._commands.words(*self._words),
            cwd=self._commands.project,
            env={**os.environ, "TZ": zone, "PGTZ": zone},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.processes.append(process)
        return process

    def claims(self, what: str = "") -> list[FrozenTrial]:
        try:
            return optuna.load_study(study_name=self._name + what, storage=self._storage).trials
        except KeyError:  # not begun yet
            return []

    def held(self, process: subprocess.Popen[str], what: str = "") -> FrozenTrial | None:
        """The claim that the process works on."""
        running = (claim for claim in self.claims(what) if claim.state is TrialState.RUNNING)
        return next((claim for claim in running if claim.user_attrs["worker"].endswith(f":{process.pid}")), None)

    def until(self, condition: Callable[[], Any]) -> Any:
        limit = time.monotonic() + LIMIT
        while not (found := condition()):
            assert time.monotonic() < limit, [claim.user_attrs for claim in self.claims()]
            assert all(process.poll() in (None, 0, -signal.SIGKILL) for process in self.processes)
            time.sleep(0.3)
        return found

    def end(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.communicate()
        self._storage.engine.dispose()


@pytest.fixture
def workers(commands, url: str, request: pytest.FixtureRequest) -> Iterator[Callable[..., Workers]]:
    made: list[Workers] = []

    def make(*words: str) -> Workers:
        made.append(Workers(commands, url, request.node.name, *words))
        return made[-1]

    yield make
    for group in made:
        group.end()


def outcome(process: subprocess.Popen[str]) -> tuple[str, dict[str, Any], list[dict[str, Any]]]:
    """What was said, the last line, and the trials in the folder."""
    out, errors = process.communicate(timeout=LIMIT)
    assert process.returncode == 0, errors
    assert "Warning" not in errors, errors
    line = json.loads(out.splitlines()[-1])
    records = (Path(line["outputs"]) / "trials.jsonl").read_text().splitlines()
    return out, line, [json.loads(record) for record in records]


def test_one_is_killed_and_one_stands_still(workers) -> None:
    group = workers()
    killed, stopped, steady = (group.start(zone) for zone in ("Asia/Tokyo", "America/Los_Angeles", "UTC"))
    group.until(lambda: all(group.held(process) for process in (killed, stopped, steady)))
    lost = group.until(lambda: group.held(killed))
    killed.kill()
    kept = group.until(lambda: group.held(stopped))
    stopped.send_signal(signal.SIGSTOP)
    taken = lambda: next(c for c in group.claims() if c.number == kept.number).state is not TrialState.RUNNING  # noqa: E731
    group.until(taken)
    stopped.send_signal(signal.SIGCONT)

    found = [outcome(process) for process in (stopped, steady)]
    assert f"trial {kept.user_attrs['number'] + 1} was taken over" in found[0][0]
    for _, line, trials in found:
        assert sum(line["trials"].values()) == TRIALS
        assert sorted(trial["number"] for trial in trials) == list(range(TRIALS))
        assert len({tuple(trial["parameters"].items()) for trial in trials}) == TRIALS
        assert all(trial["status"] == "complete" for trial in trials)
    assert found[0][1]["speedup"] == found[1][1]["speedup"]
    assert found[0][1]["outputs"] != found[1][1]["outputs"]

    tries = attempts(group.claims())
    assert sorted(tries) == list(range(TRIALS))
    for claim in (lost, kept):
        first, second = tries[claim.user_attrs["number"]]
        assert second.user_attrs[RETRY_OF] == first.number
        assert second.params == first.params
    assert sum(len(claims) for claims in tries.values()) == TRIALS + 2
    assert [claim.state for claim in group.claims(".conclusion")] == [TrialState.COMPLETE]


def test_who_confirms_is_killed(workers) -> None:
    group = workers("study.n_trials=2", "workload.num_confirm_prompts=16")
    pair = [group.start("UTC"), group.start("UTC")]
    first = group.until(lambda: next((p for p in pair if group.held(p, ".conclusion")), None))
    first.kill()
    other = next(process for process in pair if process is not first)
    out, line, _ = outcome(other)
    assert "waiting: " in out
    assert line["confirmed"]
    states = [claim.state for claim in group.claims(".conclusion")]
    assert states == [TrialState.FAIL, TrialState.COMPLETE]


def test_a_late_worker_gets_the_result_and_another_command_is_refused(workers) -> None:
    group = workers("study.n_trials=2", "study.resume=always")
    _, line, trials = outcome(group.start("UTC"))
    out, late, same = outcome(group.start("UTC"))
    assert "was confirmed by the worker" in out
    assert (late["speedup"], late["trials"]) == (line["speedup"], line["trials"])
    assert same == trials

    group.change("workload.max_tokens=30")
    other = group.start("UTC")
    assert other.wait(LIMIT) == 2
    assert "is run with workload.max_tokens=40, here it is 30" in other.communicate()[1]


def test_several_objectives(workers) -> None:
    group = workers("objective=[tpot,ttft]", "load=closed_loop", "load.passes=4", "study.resume=always")
    found = [outcome(process) for process in (group.start("UTC"), group.start("UTC"))]
    for _, line, trials in found:
        assert sum(line["trials"].values()) == TRIALS
        assert len({tuple(trial["parameters"].items()) for trial in trials}) == TRIALS
        assert all(trial["further"]["ttft"]["factor"] > 0 for trial in trials if trial["status"] == "complete")
    folders = [Path(line["outputs"]) for _, line, _ in found]
    fronts = [json.loads((folder / "best.json").read_text())["details"]["pareto"] for folder in folders]
    assert fronts[0] == fronts[1]
    for words, text in (
        ("objective=tpot", "was begun for tpot, ttft, here it is tpot"),
        ("objective.rule=balanced", ""),
    ):
        group.change(words)
        other = group.start("UTC")
        assert other.wait(LIMIT) == 2
        assert (text or "is run with objective.rule=first, here it is balanced") in other.communicate()[1]
        group.change("objective=[tpot,ttft]")


def test_what_the_model_leaves_out_is_no_trial(workers) -> None:
    group = workers("study.model=true")
    found = [outcome(process) for process in (group.start("UTC"), group.start("UTC"))]
    for _, line, trials in found:
        assert sum(count for status, count in line["trials"].items() if status != "predicted") <= TRIALS
        assert sorted(trial["number"] for trial in trials) == list(range(len(trials)))
        assert len({tuple(trial["parameters"].items()) for trial in trials}) == len(trials)
    assert found[0][1]["trials"] == found[1][1]["trials"]
    assert [claim.state for claim in group.claims(".conclusion")] == [TrialState.COMPLETE]
