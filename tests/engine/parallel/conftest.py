"""One engine in two processes for a whole module, beside the same model in one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine import Engine
from tests.engine.conftest import save_model

# Two query heads to a key-value head, a vocabulary that two cannot halve, biases everywhere.
SHAPE = {"num_hidden_layers": 3, "vocab_size": 97, "attention_bias": True, "mlp_bias": True}
WISHES = {"max_num_seqs": 3, "num_threads": 1, "dtype": "float32", "device": "cpu", "max_num_batched_tokens": 16}


@pytest.fixture(scope="session")
def folder(tmp_path_factory) -> Path:
    """Holds `target`; drafts for it are put beside it."""
    folder = tmp_path_factory.mktemp("parallel")
    save_model(folder / "target", seed=3, **SHAPE)
    return folder


@pytest.fixture(scope="module")
def one(folder) -> Engine:
    return Engine.load(folder / "target", **WISHES)


@pytest.fixture(scope="module")
def two(folder):
    with parallel(folder / "target") as engine:
        yield engine


@contextmanager
def parallel(model: Path, **wishes) -> Iterator[Engine]:
    """An engine in two processes; when it is closed, the other has ended."""
    engine = Engine.load(model, tensor_parallel_size=2, **(WISHES | wishes))
    yield engine
    engine.close()
    assert not any(map(is_alive, pids_of(engine)))


def both(model: Path, **wishes) -> Iterator[Engine]:
    """A new engine in one process, then one in two."""
    yield Engine.load(model, **(WISHES | wishes))
    with parallel(model, **wishes) as engine:
        yield engine


def pids_of(engine: Engine) -> list[int]:
    return [follower.process.pid for follower in engine._followers._all]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
