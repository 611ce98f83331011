"""Replay of recorded responses: against the plain definition, against the engine, and recorded counts of others."""

import json
import time

import pytest

from engine import ConfigError, Engine, SamplingParams
from engine.proposers import available_methods, find_proposer
from engine.proposers.ngram import NgramIndex
from engine.replay import Replay
from tests.engine.proposers.replay import replay as plain_replay

NGRAM = {"method": "ngram", "num_speculative_tokens": 4, "prompt_lookup_min": 1, "prompt_lookup_max": 3}
SUFFIX = {"method": "suffix", "num_speculative_tokens": 8, "suffix_decoding_max_cached_requests": 0}


def counts(replay):
    stats = replay.stats
    return {
        "num_drafts": stats.num_drafts,
        "num_draft_tokens": stats.num_draft_tokens,
        "num_accepted_tokens": stats.num_accepted_tokens,
        "steps": replay.timing.num_decode_passes,
        "accepted_per_pos": stats.num_accepted_tokens_per_pos,
    }


def replayed(config, pairs):
    replay = Replay()
    replay.configure_speculation(config)
    for number, (prompt, response) in enumerate(pairs):
        replay.serve(f"r{number}", prompt, response)
    return replay


def config_of(key):
    """The config that a key of the recorded counts names."""
    method, *numbers = key.split("|")[1].split(":")
    names = {
        "ngram": ("num_speculative_tokens", "prompt_lookup_min", "prompt_lookup_max"),
        "suffix": (
            "num_speculative_tokens",
            "suffix_decoding_max_tree_depth",
            "suffix_decoding_max_spec_factor",
            "suffix_decoding_min_token_prob",
        ),
    }[method]
    values = [float(number) if "." in number else int(number) for number in numbers]
    fixed = {"suffix_decoding_max_cached_requests": 0} if method == "suffix" else {}
    return {"method": method, **dict(zip(names, values, strict=True)), **fixed}


def test_recorded_counts_of_a_small_model(shared):
    recorded = json.loads((shared / "facts/drafting_counts.json").read_text())
    keys = [key for key in recorded["counts"] if key.startswith("stories260K")]
    assert len(keys) >= 11
    for key in keys:
        assert counts(replayed(config_of(key), recorded["sequences"])) == recorded["counts"][key], key


@pytest.fixture(scope="module")
def greedy(random_model):
    """Prompts with the answers of a real engine, and that engine."""
    engine = Engine.load(random_model, max_num_seqs=1, dtype="float32", num_threads=1)
    prompts = [[5, 6, 7, 8], [9, 10, 11], [1, 5, 6, 5, 6, 5]]
    params = SamplingParams(max_tokens=40, temperature=0.0, ignore_eos=True)
    outputs = engine.generate(prompts, params)
    return engine, params, [(prompt, output.token_ids) for prompt, output in zip(prompts, outputs, strict=True)]


@pytest.mark.parametrize("config", [NGRAM, SUFFIX, None], ids=["ngram", "suffix", "none"])
def test_the_engine_makes_the_same_drafts(greedy, config):
    """Up to the last steps of a request, where the engine drafts no further than max_tokens."""
    engine, params, pairs = greedy
    engine.configure_speculation(config)
    engine.generate([prompt for prompt, _ in pairs], params)
    replay = replayed(config, pairs)
    assert replay.timing.num_decode_passes == engine.timing.num_decode_passes
    assert replay.timing.num_decode_tokens == engine.timing.num_decode_tokens == 39 * 3
    assert 0 <= replay.stats.num_accepted_tokens - engine.stats.num_accepted_tokens <= 3  # the last token, drafted
    assert 0 <= replay.stats.num_draft_tokens - engine.stats.num_draft_tokens <= 3 * 8
    assert sum(rows * count for rows, count in replay.rows.items()) == (
        replay.stats.num_draft_tokens + replay.timing.num_decode_passes
    )


def test_the_plain_definition(greedy):
    def new_request(prompt):
        index = NgramIndex(1, 3)
        return lambda tokens: index.continuation(tokens, 4)

    pairs = greedy[2]
    assert counts(replayed(NGRAM, pairs)) == plain_replay(pairs, 4, new_request)


def test_short_responses_have_no_step():
    replay = replayed(NGRAM, [([1, 2], []), ([1, 2], [3])])
    assert (replay.timing.num_decode_passes, replay.timing.num_output_tokens) == (0, 1)


def test_memory_helps_a_later_request_and_is_cleared():
    config = SUFFIX | {"suffix_decoding_max_cached_requests": 10, "suffix_decoding_max_spec_factor": 4.0}
    replay = Replay()
    replay.configure_speculation(config)
    answer = list(range(10, 30))

    def steps(name):
        before = replay.timing.num_decode_passes
        replay.serve(name, [1, 2], answer)
        return replay.timing.num_decode_passes - before

    assert replay.remembers_requests
    assert steps("a") == 19
    assert steps("b") < 10
    replay.reset()
    assert steps("a") == 19
    replay.reset()
    replay.remember([answer])
    assert steps("a") < 10


@pytest.mark.parametrize("method", [m for m in available_methods() if not find_proposer(m).model_free])
def test_a_method_that_needs_a_model_is_refused(method):
    with pytest.raises(ConfigError, match=f"method {method} needs a model, which a replay has not: allowed are ngram"):
        Replay().configure_speculation({"method": method, "num_speculative_tokens": 3, "model": "somewhere"})


def test_thousands_of_tokens_a_second(shared):
    """Of the real 7B answers at the size of a real vocabulary; ten times fewer would fail."""
    from engine.text import Text

    text = Text(shared / "models/gpt2-tokenizer").backend
    path = shared / "data/replay/vicuna_7b_mt_bench_answers.jsonl"
    answers = [json.loads(line)["choices"][0]["turns"][0] for line in path.read_text().splitlines()]
    pairs = [([1, 2, 3], text.encode(answer).ids) for answer in answers]
    for config, floor in ((NGRAM, 5000), (SUFFIX, 2000)):
        began = time.process_time()
        tokens = replayed(config, pairs).timing.num_output_tokens
        assert tokens / (time.process_time() - began) > floor, config["method"]


def test_a_response_says_what_its_drafts_came_to():
    replay = Replay()
    replay.configure_speculation(NGRAM)
    looping, fresh = [5, 6, 7] * 6, list(range(20, 32))
    found = [replay.serve(str(i), [1, 5, 6, 7], response) for i, response in enumerate((looping, fresh))]
    drafts = [sum(metrics.acceptance_histogram) for metrics in found]
    assert drafts == [metrics.num_drafts for metrics in found]
    assert drafts[0] > 0
    assert sum(drafts) == replay.stats.num_drafts
    accepted = [sum(j * count for j, count in enumerate(metrics.acceptance_histogram)) for metrics in found]
    assert accepted[0] > sum(accepted[1:]) == 0
    assert sum(accepted) == replay.stats.num_accepted_tokens


def test_the_schedule_and_the_controller_bound_what_is_drafted(greedy):
    """A replay serves one request at a time: the schedule's first range holds, and each request has its own pace."""
    fixed = replayed(NGRAM, greedy[2]).stats
    bounded = replayed(NGRAM | {"num_speculative_tokens_per_batch_size": [[1, 1, 2], [2, 8, 4]]}, greedy[2]).stats
    assert bounded.num_draft_tokens_per_pos[1] > 0 == bounded.num_draft_tokens_per_pos[2]
    adaptive = replayed(NGRAM | {"adaptive": True, "adaptive_window": 2}, greedy[2])
    assert adaptive.control.stats.num_shortened > 0
    assert adaptive.stats.num_draft_tokens < fixed.num_draft_tokens
    assert adaptive.control.num_requests == 0
