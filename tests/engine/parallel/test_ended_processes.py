"""Whatever ends one process of an engine ends it with a reason, and soon; none is left over."""

import gc
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import pytest

from engine import Engine, SamplingParams
from engine.errors import ConfigError, EngineError, OutOfMemoryError
from engine.parallel.messages import Call
from tests.engine.drafts import settings_for
from tests.engine.parallel.conftest import WISHES, is_alive, pids_of

ROOT = Path(__file__).resolve().parents[3]
LONG = SamplingParams(max_tokens=60, temperature=0.0, ignore_eos=True)
SCRIPT = """
import sys
from engine import Engine, SamplingParams
engine = Engine.load(sys.argv[1], tensor_parallel_size=2, device="cpu", num_threads=1, max_num_seqs=1)
print(engine._followers._all[0].process.pid, flush=True)
while True:
    engine.generate([[1, 5, 6]], SamplingParams(max_tokens=200, ignore_eos=True))
"""


@pytest.fixture
def engine(folder):
    engine = Engine.load(folder / "target", tensor_parallel_size=2, **WISHES)
    yield engine
    engine.close()


def ends(engine: Engine, error: type[EngineError], text: str) -> None:
    """The next steps raise it, one because it happens and all later ones because it did; within seconds."""
    began = time.monotonic()
    for match in (text, "this engine has ended, .*" + text):
        with pytest.raises(error, match=match):
            engine.generate([[1, 5, 6]], LONG)
        error = EngineError
    assert time.monotonic() - began < 6.0
    assert not any(map(is_alive, pids_of(engine)))


class Greedy:
    """Asks for more memory than there is, once it has arrived."""

    num_prompt_tokens = 1

    @property
    def max_positions(self) -> int:
        raise MemoryError("none left")


class Torn:
    """Cannot be read where it arrives."""

    def __reduce__(self):
        return int, ("not a number",)


def tell(engine: Engine, name: str, *arguments, progress: int = 0) -> None:
    """Say to the followers alone what no engine would."""
    with engine._followers.told(Call(name, arguments, engine.progress + progress, False)):
        pass


def test_a_killed_process(engine):
    os.kill(pids_of(engine)[0], signal.SIGKILL)
    ends(engine, EngineError, r"rank 1 of 2 \(tensor parallel\): ended by SIGKILL")


def test_a_process_killed_while_it_is_waited_for(engine):
    pid = pids_of(engine)[0]
    os.kill(pid, signal.SIGSTOP)
    timer = threading.Timer(0.5, os.kill, (pid, signal.SIGKILL))
    timer.start()
    ends(engine, EngineError, "ended by SIGKILL")


def test_an_end_is_seen_without_an_exchange(engine):
    """As on a GPU, where an exchange that is broken off returns, with anything."""
    engine._followers._is_lost.set()
    os.kill(pids_of(engine)[0], signal.SIGKILL)
    with pytest.raises(EngineError, match="ended by SIGKILL"):
        engine.step()


@pytest.mark.parametrize(
    ("name", "arguments", "error", "text"),
    [
        ("_queue", (Greedy(),), OutOfMemoryError, "MemoryError: none left"),
        ("_queue", (Torn(),), EngineError, "ValueError: invalid literal"),
        ("no_such_call", (), EngineError, "AttributeError: .*no_such_call"),
    ],
    ids=["memory", "torn", "bug"],
)
def test_a_failure_in_one_process(engine, name, arguments, error, text):
    tell(engine, name, *arguments)
    ends(engine, error, r"rank 1 of 2 \(tensor parallel\): " + text)


def test_processes_that_differ(engine):
    tell(engine, "step", progress=1)
    ends(engine, EngineError, "its requests are not where rank 0's are before step")


def test_a_failure_of_rank_0_is_its_own(engine, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(engine._target.decoder, "forward", interrupted)
    with pytest.raises(KeyboardInterrupt):
        engine.generate([[1, 5, 6]], LONG)
    with pytest.raises(EngineError, match="this engine has ended, load the model anew: KeyboardInterrupt"):
        engine.step()
    assert not any(map(is_alive, pids_of(engine)))


def test_a_refusal_leaves_the_engine_as_it_was(engine, folder):
    expected = engine.generate([[1, 5, 6]], LONG)[0].token_ids
    draft = settings_for({"method": "medusa", "num_speculative_tokens": 1, "model": ""}, folder / "target", folder)
    for wrong, text in (
        (draft | {"draft_tensor_parallel_size": 2}, "draft_tensor_parallel_size=2 is not allowed: 1, as no layers"),
        (draft | {"num_speculative_tokens": 99}, "num_speculative_tokens=99"),  # found by all, once the heads are read
        ({"method": "ngram", "num_speculative_tokens": 1, "draft_tensor_parallel_size": 1}, "has no effect"),
    ):
        with pytest.raises(ConfigError, match=text):
            engine.configure_speculation(wrong)
    for prompt in ([], [1, 10**6]):
        with pytest.raises(ConfigError):
            engine.add_request("wrong", prompt, LONG)
    engine.configure_speculation({"method": "ngram", "num_speculative_tokens": 2})
    assert engine.generate([[1, 5, 6]], LONG)[0].token_ids == expected


def test_requests_come_and_go_at_any_time(engine, one):
    """Arrival times and unseeded requests are settled by rank 0; an aborted request is gone everywhere."""
    answers = []
    for served in (engine, one):
        wish = SamplingParams(max_tokens=30, temperature=1.0, ignore_eos=True)
        served.add_request("a", [1, *range(5, 45)], wish)
        served.add_request("b", [1, *range(50, 90)], wish, arrival_time=time.perf_counter() - 1.0)
        served.step()
        served.add_request("c", [1, 4], wish)
        served.step()
        gone = served.abort_request("b")
        done = []
        while served.has_unfinished_requests():
            done += [(output.request_id, output.token_ids) for output in served.step()]
        answers.append((gone.token_ids, done))
        scores = served.next_token_scores([1, 5, 6], SamplingParams(), 3)
        answers[-1] += (int(scores.argmax()),)
    assert answers[0] == answers[1]
    engine.close()
    with pytest.raises(EngineError, match="this engine was closed"):
        engine.step()


def test_an_engine_that_nobody_has_ends_its_processes(folder):
    engine = Engine.load(folder / "target", tensor_parallel_size=2, **WISHES)
    pids = pids_of(engine)
    del engine
    gc.collect()
    assert not any(map(is_alive, pids))


def test_a_load_that_fails_leaves_no_process(folder, tmp_path, monkeypatch):
    started = []
    popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **k: started.append(popen(*a, **k)) or started[-1])
    (tmp_path / "config.json").write_text((folder / "target" / "config.json").read_text())
    with pytest.raises(ConfigError, match="holds no weights"):
        Engine.load(tmp_path, tensor_parallel_size=2, **WISHES)
    assert len(started) == 1
    assert not is_alive(started[0].pid)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_the_end_of_rank_0_ends_the_others(folder, how):
    command = [sys.executable, "-c", SCRIPT, str(folder / "target")]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True
    ) as rank_0:
        pid = int(rank_0.stdout.readline())
        os.killpg(rank_0.pid, how) if how == signal.SIGINT else rank_0.kill()
        assert rank_0.wait(10) == -how
    until = time.monotonic() + 5.0
    while is_alive(pid) and time.monotonic() < until:
        time.sleep(0.05)
    assert not is_alive(pid)


@pytest.mark.parametrize(
    ("wishes", "text"),
    [
        ({"tensor_parallel_size": 0}, "tensor_parallel_size=0 is not allowed: a whole number from 1"),
        ({"tensor_parallel_size": "two"}, "tensor_parallel_size='two' is not allowed"),
        ({"tensor_parallel_size": 2, "device": "cuda:1"}, "device='cuda:1' was asked for but torch sees no GPU"),
    ],
)
def test_wrong_wishes(folder, wishes, text):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ConfigError, match=text):
            Engine.load(folder / "target", **(WISHES | wishes))
