"""The knobs that bound drafts under load, each from the engine's counters, and never at the price of a token."""

import pytest

from autotune.worker.prompts import prepare
from engine import ConfigError, Engine, SamplingParams
from engine.requests import new_sequence
from tests.engine.drafts import METHODS, settings_for, settings_of
from workloads import Request

NGRAM = {"method": "ngram", "num_speculative_tokens": 4, "prompt_lookup_min": 1, "prompt_lookup_max": 3}
LOOP = [1, *([5, 6, 7, 8] * 6)]


def wish(max_tokens=24, **more):
    return SamplingParams(max_tokens=max_tokens, temperature=0.0, ignore_eos=True, **more)


@pytest.fixture(scope="module")
def engine(random_model):
    return Engine.load(random_model, max_num_seqs=8, dtype="float32", num_threads=1)


def longest_by_batch(engine, prompts, wishes):
    """Outputs in order; and per number of running sequences (drafts made, tokens of the longest one)."""
    for i, (prompt, params) in enumerate(zip(prompts, wishes, strict=True)):
        engine.add_request(str(i), prompt, params)
    outputs, drafts = {}, {}
    while engine.has_unfinished_requests():
        running, before = engine.num_running, list(engine.stats.num_draft_tokens_per_pos)
        outputs |= {output.request_id: output for output in engine.step()}
        per_pos = [b - a for a, b in zip(before, engine.stats.num_draft_tokens_per_pos, strict=True)]
        made, longest = drafts.get(running, (0, 0))
        drafts[running] = made + per_pos[0], max(longest, sum(count > 0 for count in per_pos))
    return [outputs[str(i)].token_ids for i in range(len(prompts))], drafts


def served(engine, settings, lengths=(6, 12, 18, 24, 30, 36)):
    """The longest draft per batch size while one request after another ends; and the tokens equal those without."""
    prompts, wishes = [LOOP] * len(lengths), [wish(n) for n in lengths]
    engine.configure_speculation(None)
    expected = [output.token_ids for output in engine.generate(prompts, wishes)]
    engine.configure_speculation(settings)
    tokens, drafts = longest_by_batch(engine, prompts, wishes)
    assert tokens == expected
    return drafts


def test_disable_by_batch_size_stops_at_five_and_resumes_at_four(engine):
    drafts = served(engine, NGRAM | {"disable_by_batch_size": 4})
    assert drafts[6] == drafts[5] == (0, 0)
    assert drafts[4][0] > 0
    assert drafts[4][1] == 4


def test_the_schedule_bounds_drafts_by_batch_size(engine):
    drafts = served(engine, NGRAM | {"num_speculative_tokens_per_batch_size": [[1, 2, 9], [3, 3, 2], [5, 5, 0]]})
    assert {size: longest for size, (_, longest) in drafts.items() if size} == {6: 0, 5: 0, 4: 2, 3: 2, 2: 4, 1: 4}


def test_the_cutoff_and_the_schedule_together_take_the_smaller(engine):
    both = {"num_speculative_tokens_per_batch_size": [[1, 64, 2]], "disable_by_batch_size": 3}
    drafts = served(engine, NGRAM | both)
    assert drafts[4] == (0, 0)
    assert drafts[3][1] == drafts[1][1] == 2


@pytest.mark.parametrize("path", [path for path in METHODS if path.stem != "none"], ids=lambda path: path.stem)
def test_requests_say_for_themselves_how_much_is_drafted(random_model, path, tmp_path):
    """Off, at most one, and as the engine does, side by side; every method keeps its own state right meanwhile."""
    settings = settings_for(settings_of(path), random_model, tmp_path)
    engine = Engine.load(random_model, None, max_num_seqs=4, dtype="float32", num_threads=1)
    prompts = [LOOP, LOOP, LOOP, [1, 9, 9, 9, 9]]
    wishes = [wish(40, num_speculative_tokens=k) for k in (0, 1, None, 3)]
    expected = [output.token_ids for output in engine.generate(prompts, wishes)]
    engine.configure_speculation(settings)
    outputs = engine.generate(prompts, wishes)
    assert [output.token_ids for output in outputs] == expected
    metrics = [output.metrics for output in outputs]
    assert metrics[0].num_drafts == metrics[0].num_draft_tokens == 0
    assert 0 < metrics[1].num_draft_tokens == metrics[1].num_drafts
    assert metrics[2].num_draft_tokens > metrics[2].num_drafts
    assert max(count for _, count in outputs[1].metrics.deliveries) <= 2
    assert engine.stats.num_draft_tokens == sum(each.num_draft_tokens for each in metrics)


def test_a_request_cannot_ask_for_more_than_the_engine_drafts(engine):
    engine.configure_speculation(NGRAM | {"num_speculative_tokens": 2})
    output = engine.generate([LOOP], wish(num_speculative_tokens=50))[0]
    assert 0 < output.metrics.num_draft_tokens <= 2 * output.metrics.num_drafts
    engine.configure_speculation(None)
    assert engine.generate([LOOP], wish(num_speculative_tokens=50))[0].metrics.num_drafts == 0


@pytest.mark.parametrize("value", [-1, 2.0, "3", True])
def test_wrong_wishes(value):
    with pytest.raises(ConfigError, match=r"num_speculative_tokens=.* is not allowed: None or a whole number >= 0"):
        SamplingParams.from_mapping({"num_speculative_tokens": value})


def test_a_workload_s_request_can_say_it(engine):
    request = Request("r", tuple(LOOP), 24, {"temperature": 0.0, "num_speculative_tokens": 1})
    prompt = prepare([request], tokenizer=None, max_model_len=None, seed=0)[0]
    engine.configure_speculation(NGRAM)
    metrics = engine.generate([prompt.token_ids], prompt.params)[0].metrics
    assert 0 < metrics.num_draft_tokens == metrics.num_drafts


def test_the_batch_size_counts_those_that_read_their_prompt(engine):
    """Two decode while a third is still in a long prompt: the batch is three, as for vLLM."""
    schedule = {"num_speculative_tokens_per_batch_size": [[1, 2, 4], [3, 8, 0]]}
    engine.configure_speculation(NGRAM | schedule)
    control, some = engine.control, [new_sequence(str(i), LOOP, wish(), 256, 0, i, 0.0) for i in range(2)]
    assert control.limits(some, num_running=2, kv_usage=0.0) == [4, 4]
    assert control.limits(some, num_running=3, kv_usage=0.0) == [0, 0]
