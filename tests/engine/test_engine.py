"""The engine as a library: requests joining and leaving, stops, limits, aborts, logprobs, statistics, refusals."""

import shutil

import pytest
import torch

from engine import ConfigError, Engine, EngineError, OutOfMemoryError, SamplingParams
from engine.models.config import read_config
from engine.models.kv_cache import KVCache

GREEDY = SamplingParams(max_tokens=20, temperature=0.0, ignore_eos=True)
NGRAM = {"method": "ngram", "num_speculative_tokens": 4, "prompt_lookup_min": 1, "prompt_lookup_max": 3}
LOOP = [1, *([5, 6, 7, 8] * 5)]


@pytest.fixture(scope="module")
def engine(random_model):
    return Engine.load(random_model, max_num_seqs=4, dtype="float32", num_threads=1)


@pytest.fixture(autouse=True)
def idle(engine):
    yield
    assert not engine.has_unfinished_requests()
    engine.configure_speculation(None)
    engine.reset()


def test_stop_ids_and_eos_end_inside_an_accepted_run(engine):
    free = engine.generate([LOOP], GREEDY)[0].token_ids
    stop = free[7]
    first = free.index(stop)
    engine.configure_speculation(NGRAM)
    wish = SamplingParams(max_tokens=20, temperature=0.0, ignore_eos=True, stop_token_ids=[stop])
    output = engine.generate([LOOP], wish)[0]
    assert output.token_ids == free[: first + 1]
    assert (output.finish_reason, output.stop_reason) == ("stop", stop)
    later = SamplingParams(max_tokens=20, temperature=0.0, ignore_eos=True, stop_token_ids=[stop], min_tokens=12)
    assert len(engine.generate([LOOP], later)[0].token_ids) >= 12


def test_arrivals_and_departures_at_any_step_change_nothing(engine):
    prompts = [LOOP, [1, 9, 9, 9], [1, 30, 31, 30, 31], LOOP[:9], [1, 70], [2, 40, 41]]
    expected = [output.token_ids for output in engine.generate(prompts, GREEDY)]
    engine.configure_speculation(NGRAM)
    outputs = {}
    for i, prompt in enumerate(prompts):
        engine.add_request(str(i), prompt, GREEDY)
        for _ in range(i % 3):
            outputs |= {output.request_id: output.token_ids for output in engine.step()}
    while engine.has_unfinished_requests():
        outputs |= {output.request_id: output.token_ids for output in engine.step()}
    assert [outputs[str(i)] for i in range(len(prompts))] == expected


def test_abort_frees_the_slot_and_leaves_the_others_alone(engine):
    expected = engine.generate([LOOP], GREEDY)[0].token_ids
    engine.add_request("gone", [1, 44, 45], GREEDY)
    engine.add_request("stays", LOOP, GREEDY)
    for _ in range(4):
        engine.step()
    aborted = engine.abort_request("gone")
    assert aborted.finish_reason == "abort"
    assert 0 < len(aborted.token_ids) < 20
    assert engine.abort_request("gone") is None
    done = []
    while engine.has_unfinished_requests():
        done += engine.step()
    assert done[0].token_ids == expected


def test_stop_strings_cut_the_text_and_end_the_request(shared):
    engine = Engine.load(shared / "models/stories260K-hf", NGRAM, max_num_seqs=2, num_threads=1)
    wish = SamplingParams(max_tokens=120, temperature=0.0, ignore_eos=True, stop=["park", "One day"])
    output = engine.generate([[1]], wish)[0]
    assert output.text.endswith("She loved to play outside in the ")
    assert (output.finish_reason, output.stop_reason) == ("stop", "park")
    assert engine.generate(["Once upon a time"], GREEDY)[0].text
    assert [len(o.token_ids) for o in engine.generate([[1], [1]], [GREEDY, wish])] == [20, len(output.token_ids)]


def test_logprobs_are_the_raw_model_s(engine):
    wish = SamplingParams(max_tokens=8, temperature=0.0, ignore_eos=True, logprobs=3, repetition_penalty=1.3)
    plain = engine.generate([LOOP], wish)[0]
    engine.configure_speculation(NGRAM)
    drafted = engine.generate([LOOP], wish)[0]
    assert plain.token_ids == drafted.token_ids
    for token, a, b in zip(plain.token_ids, plain.logprobs, drafted.logprobs, strict=True):
        assert token in a
        assert len(a) in (3, 4)
        assert a.keys() == b.keys()
        assert all(abs(a[t] - b[t]) < 1e-3 and a[t] <= 0 for t in a)


def test_scores_name_the_next_token_greedy_and_seeded(engine):
    for wish in (GREEDY, SamplingParams(max_tokens=10, temperature=0.9, seed=4, ignore_eos=True)):
        output = engine.generate([LOOP], wish)[0]
        tokens = LOOP + output.token_ids
        for position in range(len(LOOP), len(tokens)):
            scores = engine.next_token_scores(tokens, wish, position, len(LOOP))
            assert scores.argmax().item() == tokens[position]


def test_statistics_agree_with_the_requests(engine):
    engine.configure_speculation(NGRAM)
    outputs = engine.generate([LOOP, [1, 9, 9, 9]], GREEDY)
    stats, timing = engine.stats, engine.timing
    assert (
        stats.num_accepted_tokens
        == sum(o.metrics.num_accepted_tokens for o in outputs)
        == sum(stats.num_accepted_tokens_per_pos)
    )
    assert stats.num_draft_tokens == sum(stats.num_draft_tokens_per_pos)
    assert timing.num_output_tokens == 40
    assert timing.num_decode_tokens == 38  # the first token of each came from its prompt
    assert stats.mean_acceptance_length == 1 + stats.num_accepted_tokens / stats.num_drafts
    assert min(timing.draft, timing.target, timing.verify, timing.other) > 0
    assert all(o.metrics.ttft <= o.metrics.e2e and o.metrics.tpot > 0 for o in outputs)
    engine.reset()
    assert engine.stats.num_drafts == engine.timing.num_steps == 0


def test_prompts_in_chunks_give_the_same_tokens(random_model, engine):
    prompt = [1, *range(3, 83)]
    expected = engine.generate([prompt], GREEDY)[0].token_ids
    small = Engine.load(random_model, NGRAM, max_num_batched_tokens=7, dtype="float32", num_threads=1)
    assert small.generate([prompt], GREEDY)[0].token_ids == expected


def test_cache_refuses_what_does_not_fit_and_notices_a_leak(random_model):
    config = read_config(random_model)
    with pytest.raises(OutOfMemoryError, match="lower max_num_seqs or max_model_len"):
        KVCache(config, 10**9, 256, torch.float32, torch.device("cpu"))
    cache = KVCache(config, 2, 16, torch.float32, torch.device("cpu"))
    taken = cache.take_slot()
    cache.check_integrity([taken])
    with pytest.raises(EngineError, match="leaked"):
        cache.check_integrity([])


@pytest.mark.parametrize(
    ("prompt", "message"),
    [([], "prompt is empty"), ([96], "token id 96 is outside"), ([-1, 3], "token id -1"), ([3] * 256, "at most 255")],
)
def test_wrong_prompts(engine, prompt, message):
    with pytest.raises(ConfigError, match=message):
        engine.generate([prompt], GREEDY)


def test_wrong_calls(engine):
    with pytest.raises(ConfigError, match="no tokenizer"):
        engine.generate(["text"], GREEDY)
    with pytest.raises(ConfigError, match="2 sampling params for 1 prompts"):
        engine.generate([LOOP], [GREEDY, GREEDY])
    with pytest.raises(ConfigError, match="above max_model_len - 1"):
        Engine.load(engine._text._folder, NGRAM | {"num_speculative_tokens": 20}, max_model_len=10)
    with pytest.raises(ConfigError, match="logit_bias names token 96: allowed are the ids 0 to 95"):
        engine.generate([LOOP], SamplingParams(logit_bias={96: 1.0}))
    engine.add_request("twice", LOOP, GREEDY)
    with pytest.raises(ConfigError, match="'twice' is in use"):
        engine.add_request("twice", LOOP, GREEDY)
    with pytest.raises(EngineError, match="configure_speculation needs an idle engine"):
        engine.configure_speculation(NGRAM)
    with pytest.raises(EngineError, match="generate needs an idle engine: 0 requests run, 1 wait"):
        engine.generate([LOOP], GREEDY)
    engine.abort_request("twice")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"device": "tpu9"}, "device='tpu9' is not allowed"),
        ({"dtype": "int3"}, "dtype='int3' is not allowed: auto, float32"),
        ({"max_model_len": 100_000}, "max_model_len=100000 is not allowed: from 2 to the model's 256"),
        ({"max_num_seqs": 0}, "max_num_seqs=0 is not allowed"),
        ({"max_num_batched_tokens": 0}, "max_num_batched_tokens=0"),
        ({"num_threads": 0}, "num_threads=0 is not allowed: 'auto' or a count"),
    ],
)
def test_wrong_load_arguments(random_model, arguments, message):
    with pytest.raises(ConfigError, match=message):
        Engine.load(random_model, **arguments)


def test_a_gpu_asked_for_by_name_must_be_there(random_model):
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(ConfigError, match="torch sees no GPU"):
        Engine.load(random_model, device="cuda")


def test_broken_folders(tmp_path, random_model):
    with pytest.raises(ConfigError, match="does not exist"):
        Engine.load(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match=r"config.json is missing"):
        Engine.load(tmp_path)
    shutil.copy(random_model / "config.json", tmp_path)
    with pytest.raises(ConfigError, match="holds no weights"):
        Engine.load(tmp_path)
    whole = (random_model / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ConfigError, match="truncated"):
        Engine.load(tmp_path)
    (tmp_path / "config.json").write_text("{not json")
    with pytest.raises(ConfigError, match="not valid JSON"):
        Engine.load(tmp_path)
