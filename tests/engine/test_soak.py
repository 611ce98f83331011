"""Many requests of every kind against a cache too small for them, method by method: nothing leaks and no token changes.

CI serves a few hundred; SPECTUNE_SOAK=2000 serves so many.
"""

import gc
import os
import random
import shutil
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import psutil
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from engine import Engine, SamplingParams
from engine.blocks import blocks
from engine.outputs import RequestOutput
from engine.sequence import Sequence
from tests.engine.drafts import METHODS, settings_for, settings_of

NUM_REQUESTS = int(os.environ.get("SPECTUNE_SOAK", "208"))
VOCAB, BUDGET, LONGEST = 96, 256, 110
ADAPTIVE = {"adaptive": True, "adaptive_window": 2, "adaptive_min_tokens": 0, "adaptive_memory_threshold": 0.8}
TREE = {"num_speculative_tokens": 3, "speculative_token_tree": str([(0,), (1,), (0, 0), (0, 1), (1, 0), (0, 0, 0)])}
MORE = {  # beside every YAML: (method, given)
    "eagle3 of a dynamic tree": (
        "eagle3",
        {"num_speculative_tokens": 3, "dynamic_tree_topk": 3, "dynamic_tree_num_draft_tokens": 8},
    ),
    "mtp of a tree, adaptive": ("mtp", TREE | ADAPTIVE),
    "ngram, adaptive, scheduled": (
        "ngram",
        {"num_speculative_tokens_per_batch_size": [[1, 3, 4], [4, 6, 2]]} | ADAPTIVE,
    ),
}
CASES = [*(path.stem for path in METHODS), *MORE]
pytestmark = pytest.mark.filterwarnings("ignore:.*has one MTP module")


class Asked(NamedTuple):
    request_id: str
    prompt: list[int]
    params: SamplingParams


@pytest.fixture(scope="module")
def model(random_model, tmp_path_factory):
    """The random model with a tokenizer of one letter a token, so that stop strings can be met."""
    folder = tmp_path_factory.mktemp("soak") / "model"
    shutil.copytree(random_model, folder)
    vocab = {chr(0x4E00 + token): token for token in range(VOCAB)}
    tokenizer = Tokenizer(models.WordLevel(vocab, unk_token=chr(0x4E00)))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def load(model, settings=None, **options):
    given = {"max_num_batched_tokens": 40, "dtype": "float32", "num_threads": 1}
    return Engine.load(model, settings, **given | options)


def ask(rng: random.Random, request_id: str) -> Asked:
    """Any length, any way of choosing tokens, any way to stop, any wish for drafts."""
    phrase = [rng.randrange(3, VOCAB) for _ in range(rng.randint(1, 9))]
    prompt = [1, *phrase * rng.randint(1, 6)][:60]
    wish = {
        "temperature": rng.choice([0.0, 0.0, 0.6, 1.0]),
        "seed": rng.randrange(10**6),
        "max_tokens": rng.randint(1, LONGEST - len(prompt)),
        "ignore_eos": rng.random() < 0.7,
        "num_speculative_tokens": rng.choice([None, None, None, 0, 1, 2]),
    }
    maybe = {
        "top_k": 10,
        "top_p": 0.9,
        "min_p": 0.02,
        "repetition_penalty": 1.2,
        "presence_penalty": 0.3,
        "logit_bias": {5: 1.0, 7: -3.0},
        "stop_token_ids": [rng.randrange(3, VOCAB)],
        "stop": [chr(0x4E00 + rng.randrange(3, VOCAB)), chr(0x4E00 + rng.randrange(3, VOCAB))],
        "min_tokens": wish["max_tokens"] // 2,
        "logprobs": 1,
    }
    return Asked(request_id, prompt, SamplingParams(**wish, **{k: v for k, v in maybe.items() if rng.random() < 0.15}))


def soak(engine: Engine, asked: list[Asked], rng: random.Random) -> Iterator[tuple[RequestOutput, bool]]:
    """Serve with arrivals and aborts at random steps; every output, and whether it was aborted."""
    waiting, there = list(reversed(asked)), []
    while waiting or engine.has_unfinished_requests():
        for _ in range(rng.choice([0, 0, 0, 1, 2, 5])):
            if waiting:
                there.append(waiting.pop())
                engine.add_request(*there[-1])
        if there and rng.random() < 0.01:
            gone = engine.abort_request(rng.choice(there).request_id)
            if gone is not None:
                yield gone, True
        yield from ((output, False) for output in engine.step())
        engine._scheduler.check_integrity()
        assert sum(blocks(len(each)) for each in engine._scheduler.running) <= BUDGET // 16 + 8  # before the next step
        there = [each for each in there if engine._scheduler.find(each.request_id)]


def settings_of_case(name, model, folder):
    method, given = MORE.get(name, (name, {}))
    settings = settings_of(next(path for path in METHODS if path.stem == method)) | given
    if method == "suffix":
        settings |= {"suffix_decoding_max_cached_requests": 4}
    return settings_for(settings, model, folder)


def held() -> tuple[int, int]:
    """Requests that anything still refers to, and all objects."""
    gc.collect()
    objects = gc.get_objects()
    return sum(type(each) is Sequence for each in objects), len(objects)


def names_kept(root: object, prefix: str) -> int:
    """Request ids anywhere in the engine's own objects: in keys, lists and attributes."""
    seen, stack, found = set(), [root], 0
    while stack:
        each = stack.pop()
        if isinstance(each, str):
            found += each.startswith(prefix)
        elif id(each) not in seen and not isinstance(each, type):
            seen.add(id(each))
            plain = isinstance(each, dict | list | set | tuple) or type(each).__name__ == "deque"
            if plain or type(each).__module__.startswith("engine"):
                stack += [*gc.get_referents(each), *(each if isinstance(each, dict) else ())]  # not told: keys of text
    return found


@pytest.mark.parametrize("name", CASES)
def test_soak(model, name, tmp_path):
    rng, (others, _) = random.Random(name), held()  # what a test that failed before has in its traceback
    asked = [ask(rng, f"soak-{i}") for i in range(-(-NUM_REQUESTS // len(CASES)))]
    alone = load(model, max_num_seqs=1)
    truth = {each.request_id: alone.generate([each.prompt], each.params)[0] for each in asked}
    engine = load(model, settings_of_case(name, model, tmp_path), max_num_seqs=8, kv_cache_tokens=BUDGET)
    seen, objects, resident, half = Counter(), [], [], len(asked) // 2
    for part in (asked[:half], asked[half:]):
        for output, aborted in soak(engine, part, rng):
            expected = truth[output.request_id]
            assert output.token_ids == expected.token_ids[: len(output.token_ids)]
            if not aborted:
                same = ("token_ids", "text", "finish_reason", "stop_reason")
                assert [getattr(output, key) for key in same] == [getattr(expected, key) for key in same]
            seen[output.finish_reason] += 1
        assert engine.kv_cache_usage == engine.control.num_requests == engine.num_running == engine.num_waiting == 0
        assert names_kept(engine, "soak-") <= (4 if name == "suffix" else 0)
        alive, total = held()
        assert alive == others
        objects.append(total)
        resident.append(psutil.Process().memory_info().rss / 2**20)
    assert sum(seen.values()) == len(asked)
    assert seen["stop"] and seen["length"]  # noqa: PT018
    assert engine.num_preemptions > 0
    assert name == "none" or engine.stats.num_draft_tokens > 0
    assert objects[1] - objects[0] < (5000 if name == "suffix" else 400), objects  # suffix keeps other four responses
    assert resident[1] - resident[0] < 12, resident
    engine.reset()


def test_python_s_own_memory_is_flat(model):
    """The bytes that are alive after many requests are those after few."""
    settings = {"method": "suffix", "num_speculative_tokens": 4, "suffix_decoding_max_cached_requests": 0}
    engine, rng, alive = load(model, settings, max_num_seqs=8, kv_cache_tokens=BUDGET), random.Random(1), []
    tracemalloc.start()
    try:
        for part in range(8):
            for _ in soak(engine, [ask(rng, f"{part}-{i}") for i in range(NUM_REQUESTS // 20)], rng):
                pass
            gc.collect()
            alive.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    # Lists of freed objects and histograms fill over the first parts and then stay. Three parts are compared: ten
    # leaked sequences a part, of 3,000 each, would be 90,000.
    assert alive[-1] - alive[-4] < 60_000, alive
