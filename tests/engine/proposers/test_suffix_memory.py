"""Suffix decoding across requests on the engine, and every knob's effect as the engine's own counters show it."""

import pytest

from engine import ConfigError, Engine, SamplingParams

SUFFIX = {
    "method": "suffix",
    "num_speculative_tokens": 8,
    "suffix_decoding_max_tree_depth": 8,
    "suffix_decoding_max_cached_requests": 100,
    "suffix_decoding_max_spec_factor": 2.0,
    "suffix_decoding_min_token_prob": 0.1,
}
GREEDY = SamplingParams(max_tokens=40, temperature=0.0, ignore_eos=True)
A, B = [5, 6, 7, 8], [9, 10, 11]


@pytest.fixture(scope="module")
def engine(random_model):
    return Engine.load(random_model, max_num_seqs=4, dtype="float32", num_threads=1)


def passes(engine, *prompts):
    """Target passes that each prompt's answer takes, one after another, and the answers."""
    found, answers = [], []
    for prompt in prompts:
        before = engine.timing.num_decode_passes
        answers.append(engine.generate([prompt], GREEDY)[0].token_ids)
        found.append(engine.timing.num_decode_passes - before)
    return found, answers


def fresh(engine, **changes):
    engine.configure_speculation(SUFFIX | changes)
    engine.reset()
    return engine


def test_the_second_time_the_answer_is_known(engine):
    (first, _, again), answers = passes(fresh(engine), A, B, A)
    assert again <= first / 2
    assert answers[0] == answers[2]


def test_reset_forgets(engine):
    first, _ = passes(fresh(engine), A)
    engine.reset()
    assert passes(engine, A)[0] == first


def test_memory_survives_a_change_of_method_and_back_until_reset(engine):
    (first,), _ = passes(fresh(engine), A)
    engine.configure_speculation(None)
    (plain,), _ = passes(engine, A)
    assert plain == 39
    other = SUFFIX | {"num_speculative_tokens": 7}  # another config: a memory of its own
    for config, knows in ((other, False), (SUFFIX, True), (other, True)):
        engine.configure_speculation(config)
        assert (passes(engine, A)[0][0] <= first / 2) == knows
    engine.configure_speculation(None)
    engine.reset()  # forgets what other configs remember too
    engine.configure_speculation(SUFFIX)
    assert passes(engine, A)[0] == [first]


def test_responses_given_are_as_good_as_responses_served(engine):
    served, answers = passes(fresh(engine), A, B, A)
    fresh(engine).remember(answers[:2])
    assert passes(engine, A)[0] == served[2:]


def test_first_in_first_out(engine):
    """The request that runs has a place of its own, so of three places two are for earlier ones."""
    (first, _, kept), _ = passes(fresh(engine, suffix_decoding_max_cached_requests=3), A, B, A)
    (_, _, gone), _ = passes(fresh(engine, suffix_decoding_max_cached_requests=2), A, B, A)
    assert kept <= first / 2 < gone
    fresh(engine, suffix_decoding_max_cached_requests=2).remember([[1, 2, 3], [4, 5, 6]])
    assert len(engine._proposer._cache._responses) == 2
    engine.remember([[7]])
    assert [text.tokens for text in engine._proposer._cache._responses.values()] == [[4, 5, 6], [7]]


def test_nothing_is_kept_of_no_cached_requests(engine):
    (first, again), _ = passes(fresh(engine, suffix_decoding_max_cached_requests=0), A, A)
    assert first == again
    with pytest.raises(ConfigError, match="max_cached_requests=0 keeps no response"):
        engine.remember([[1, 2]])


def counted(engine, **changes):
    passes(fresh(engine, **changes), A, B)
    return engine.stats


def test_a_shallow_tree_drafts_little(engine):
    """At depth 2 a single token can match, so a factor of 2 allows drafts of at most two."""
    deep, shallow = counted(engine), counted(engine, suffix_decoding_max_tree_depth=2)
    assert sum(deep.num_draft_tokens_per_pos[2:]) > 0 == sum(shallow.num_draft_tokens_per_pos[2:])


def test_the_factor_bounds_the_draft(engine):
    """Tokens per matched token: at factor 1/2 one matched token allows none, so there are fewer drafts too."""
    long, short = counted(engine), counted(engine, suffix_decoding_max_spec_factor=0.5)
    assert short.num_drafts < long.num_drafts
    assert short.num_draft_tokens / short.num_drafts < long.num_draft_tokens / long.num_drafts
    assert counted(engine, suffix_decoding_max_spec_factor=0.0).num_drafts == 0


def test_a_high_probability_is_asked_of_drafts(engine):
    rates = [counted(engine, suffix_decoding_min_token_prob=prob) for prob in (0.0, 0.3, 0.6)]
    assert rates[0].num_draft_tokens > rates[1].num_draft_tokens > rates[2].num_draft_tokens > 0
    assert rates[2].acceptance_rate > rates[0].acceptance_rate


def test_no_draft_is_longer_than_asked(engine):
    assert len(counted(engine, num_speculative_tokens=2).num_draft_tokens_per_pos) == 2


@pytest.mark.parametrize("method", ["ngram", "none"])
def test_a_method_without_memory_says_so(engine, method):
    engine.configure_speculation({"method": method, "num_speculative_tokens": 3 if method == "ngram" else None})
    assert not engine.remembers_requests
    with pytest.raises(ConfigError, match=f"method {method} remembers nothing"):
        engine.remember([[1, 2]])
