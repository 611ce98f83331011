"""A random target, its answers with hidden states, and a head of every method for it."""

from functools import cache

import pytest
import torch

from engine.core import Engine
from engine.loading import load_target
from engine.sampling_params import SamplingParams
from engine.text import Text
from engine.training.answers import Prompt, answered
from engine.training.features import Features
from engine.training.heads import find
from engine.training.lessons import lessons
from engine.training.teacher import load_teacher

OPTIONS = {
    "draft_model": {},
    "eagle": {},
    "eagle3": {"draft_vocab_size": 48, "aux_layers": (0, 1, 2)},
    "medusa": {},
    "mlp_speculator": {},
    "mtp": {},
}


@pytest.fixture(scope="session")
def target(random_model):
    return load_target(random_model, None, "float32", "cpu", 1)


@pytest.fixture(scope="session")
def rows(random_model, target, tmp_path_factory):
    """40 prompts of 5 to 14 tokens with answers of 24."""
    engine = Engine(target, Text(random_model), None, 8, 256, 0)
    draw = torch.Generator().manual_seed(5)
    prompts = [torch.randint(3, 96, (5 + n % 10,), generator=draw).tolist() for n in range(40)]
    params = SamplingParams(temperature=0.0, max_tokens=24, ignore_eos=True)
    return answered(engine, [Prompt(ids, "random") for ids in prompts], tmp_path_factory.mktemp("answers"), params)


@pytest.fixture(scope="session")
def features_with(target, rows):
    """Batches with the states at some boundaries, computed once."""
    return cache(lambda boundaries: Features(target, lessons(rows, 400, 64), boundaries, 2**30))


@pytest.fixture
def features(request, features_with):
    """Batches with what the test's method reads: 0, 1 and 2, or all layers' output."""
    method = getattr(request.node, "callspec", None) and request.node.callspec.params.get("method")
    return features_with((3,) if method == "mtp" else (0, 1, 2))


@pytest.fixture
def make_head(random_model, target):
    def make(method, **changes):
        torch.manual_seed(1)
        module = find(method)
        extra = [torch.arange(0, 96, 2)] if method == "eagle3" else []
        return module.HEAD(load_teacher(random_model, target), module.OPTIONS(**(OPTIONS[method] | changes)), *extra)

    return make
