"""What speculation must never do: change a token. Every registered method, several batch sizes, greedy and seeded."""

import random

import pytest

from engine import Engine, SamplingParams
from engine.proposers import available_methods
from tests.engine.drafts import METHODS, settings_for, settings_of


def test_every_registered_method_has_a_yaml():
    assert set(available_methods()) <= {settings_of(path)["method"] for path in METHODS}


@pytest.fixture(scope="module")
def requests():
    """Prompts with repetition in them and limits that differ, so that requests join and leave at different steps."""
    rng = random.Random(5)
    prompts, params = [], []
    for i in range(24):
        phrase = [rng.randrange(3, 90) for _ in range(rng.randint(2, 12))]
        prompts.append([1, *phrase, *[rng.randrange(3, 90) for _ in range(rng.randint(0, 40))], *phrase])
        sampling = {} if i % 2 else {"top_k": 12, "top_p": 0.9, "repetition_penalty": 1.1}
        params.append((rng.randint(1, 60), i, sampling))
    return prompts, params


def sampling_params(params, temperature):
    return [
        SamplingParams(max_tokens=limit, temperature=temperature, seed=seed, ignore_eos=seed % 3 == 0, **extra)
        for limit, seed, extra in params
    ]


@pytest.fixture(scope="module")
def alone(random_model, requests):
    """Every request on its own, without speculation: the truth."""
    engine = Engine.load(random_model, max_num_seqs=1, dtype="float32", num_threads=1)
    prompts, params = requests
    return {
        temperature: [output.token_ids for output in engine.generate(prompts, sampling_params(params, temperature))]
        for temperature in (0.0, 0.8)
    }


@pytest.mark.parametrize("path", METHODS, ids=lambda path: path.stem)
@pytest.mark.parametrize("batch", [1, 3, 16])
@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_output_equals_the_request_on_its_own(random_model, requests, alone, path, batch, temperature, tmp_path):
    settings = settings_for(settings_of(path), random_model, tmp_path)
    engine = Engine.load(
        random_model, settings, max_num_seqs=batch, dtype="float32", num_threads=1, max_num_batched_tokens=48
    )
    prompts, params = requests
    outputs = engine.generate(prompts, sampling_params(params, temperature))
    assert [output.token_ids for output in outputs] == alone[temperature]
    assert settings["method"] == "none" or engine.stats.num_draft_tokens > 0
    assert "model" in settings or settings["method"] == "none" or engine.stats.num_accepted_tokens > 0
    engine.reset()


def test_disable_by_batch_size_stops_drafting_above_it_only(random_model):
    """No drafts while three run, drafts again at two, and the same tokens as ever."""
    loop = [[1, *([5, 6, 7, 8] * 6)]] * 3
    wishes = [SamplingParams(max_tokens=n, temperature=0.0, ignore_eos=True) for n in (10, 30, 30)]
    settings = {"method": "ngram", "num_speculative_tokens": 3, "prompt_lookup_min": 1, "disable_by_batch_size": 2}
    engine = Engine.load(random_model, settings, max_num_seqs=4, dtype="float32", num_threads=1)
    for i, (prompt, wish) in enumerate(zip(loop, wishes, strict=True)):
        engine.add_request(str(i), prompt, wish)
    outputs, drafts_by_running = {}, {}
    while engine.has_unfinished_requests():
        running, before = engine.num_running, engine.stats.num_drafts
        outputs |= {output.request_id: output.token_ids for output in engine.step()}
        drafts_by_running[running] = drafts_by_running.get(running, 0) + engine.stats.num_drafts - before
    assert drafts_by_running[3] == 0
    assert drafts_by_running[2] > 0
    engine.configure_speculation(None)
    assert [outputs[str(i)] for i in range(3)] == [output.token_ids for output in engine.generate(loop, wishes)]


@pytest.mark.parametrize("k", [1, 2, 6])
def test_num_speculative_tokens_bounds_every_draft(random_model, k):
    engine = Engine.load(
        random_model, {"method": "ngram", "num_speculative_tokens": k, "prompt_lookup_min": 1}, num_threads=1
    )
    wish = SamplingParams(max_tokens=40, temperature=0.0, ignore_eos=True)
    output = engine.generate([[1, *([5, 6, 7, 8] * 6)]], wish)[0]
    stats = engine.stats
    assert len(stats.num_draft_tokens_per_pos) == k
    assert stats.num_draft_tokens_per_pos[k - 1] > 0
    assert max(count for _, count in output.metrics.deliveries) <= k + 1
    assert sum(count for _, count in output.metrics.deliveries) == len(output.token_ids) == 40


def test_a_wider_window_drafts_where_a_narrow_one_does_not(random_model):
    prompt = [1, 10, 11, 12, 40, 41, 13, 11, 12]  # the last two tokens occurred before, the last three did not

    def drafts(low, high):
        settings = {"method": "ngram", "num_speculative_tokens": 2, "prompt_lookup_min": low, "prompt_lookup_max": high}
        engine = Engine.load(random_model, settings, num_threads=1)
        from engine.proposers.ngram import NgramIndex

        assert engine.speculative_config.prompt_lookup_max == high
        return NgramIndex(low, high).continuation(prompt, 2)

    assert drafts(3, 5) == []
    assert drafts(2, 5) == [40, 41]


def test_drafts_end_where_the_request_ends(random_model):
    """No token is drafted that could not be emitted any more."""
    settings = {"method": "ngram", "num_speculative_tokens": 8, "prompt_lookup_min": 1}
    engine = Engine.load(random_model, settings, max_model_len=30, num_threads=1)
    output = engine.generate([[1, *([5, 6] * 10)]], SamplingParams(max_tokens=100, temperature=0.0, ignore_eos=True))[0]
    assert output.finish_reason == "length"
    assert len(output.token_ids) == 30 - 21
    assert engine.stats.num_draft_tokens <= 8
