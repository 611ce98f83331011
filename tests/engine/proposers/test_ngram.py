"""Prompt lookup: the rule against a plain search, recorded counts of another implementation, and the cost of a step."""

import json
import random

import pytest

from engine.errors import ConfigError
from engine.proposers import resolve
from engine.proposers.ngram import NgramIndex
from tests.engine.proposers.replay import replay


def plain_lookup(tokens, low, high, limit):
    """The definition, by brute force: longest n first, then the earliest occurrence that is not the suffix itself."""
    for n in range(min(high, len(tokens) - 1), low - 1, -1):
        for start in range(len(tokens) - n):
            if tokens[start : start + n] == tokens[-n:]:
                return tokens[start + n : start + n + limit]
    return []


@pytest.mark.parametrize(("low", "high"), [(1, 1), (1, 4), (2, 5), (3, 3), (5, 9)])
def test_index_finds_what_a_plain_search_finds(low, high):
    rng = random.Random(low * 10 + high)
    for _ in range(40):
        tokens, index = [rng.randrange(3)], NgramIndex(low, high)
        while len(tokens) < 60:
            assert index.continuation(tokens, 6) == plain_lookup(tokens, low, high, 6)
            tokens += [rng.randrange(3) for _ in range(rng.randint(1, 4))]


def counts(sequences, k, low, high):
    def new_request(prompt):
        index = NgramIndex(low, high)
        return lambda tokens: index.continuation(tokens, k)

    return replay(sequences, k, new_request)


def read_lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def settings_of(recorded, name):
    for key, expected in recorded.items():
        source, setting = key.split("|")
        method, *numbers = setting.split(":")
        if source == name and method == "ngram":
            yield [int(number) for number in numbers], expected


def test_recorded_counts_of_a_small_model(shared):
    recorded = json.loads((shared / "facts/drafting_counts.json").read_text())
    cases = list(settings_of(recorded["counts"], "stories260K"))
    assert len(cases) >= 7
    for numbers, expected in cases:
        assert counts(recorded["sequences"], *numbers) == expected, numbers


def test_recorded_counts_of_a_7b_model(shared):
    from engine.text import Text

    text = Text(shared / "models/gpt2-tokenizer")
    recorded = json.loads((shared / "facts/drafting_counts.json").read_text())
    questions = {q["question_id"]: q for q in read_lines(shared / "data/prompts/mt_bench.jsonl")}
    sequences = []
    for answer in read_lines(shared / "data/replay/vicuna_7b_mt_bench_answers.jsonl"):
        output = text.encode(answer["choices"][0]["turns"][0])[:600]
        if len(output) > 1:
            sequences.append((text.encode(questions[int(answer["question_id"])]["turns"][0]), output))
    numbers, expected = next(settings_of(recorded["counts"], "vicuna7b"))
    assert counts(sequences, *numbers) == expected


def test_a_step_costs_the_same_at_any_context_length():
    """Work, not seconds: the n-grams looked at per appended token do not depend on what came before."""

    class Counting(list):
        reads = 0

        def __getitem__(self, item):
            Counting.reads += 1
            return super().__getitem__(item)

    def reads_per_step(context):
        tokens = Counting(random.Random(0).choices(range(500), k=context))
        index = NgramIndex(2, 5)
        index.continuation(tokens, 4)
        Counting.reads = 0
        for token in range(50):
            tokens.append(token)
            index.continuation(tokens, 4)
        return Counting.reads

    assert reads_per_step(16_000) <= reads_per_step(1_000) + 50


@pytest.mark.parametrize(
    ("given", "expected"), [({}, (5, 5)), ({"prompt_lookup_min": 3}, (3, 3)), ({"prompt_lookup_max": 4}, (4, 4))]
)
def test_default_window(given, expected):
    config = resolve({"method": "ngram", "num_speculative_tokens": 3, **given})
    assert (config.prompt_lookup_min, config.prompt_lookup_max) == expected


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"prompt_lookup_min": 6, "prompt_lookup_max": 4}, "prompt_lookup_min=6 is above prompt_lookup_max=4"),
        ({"prompt_lookup_min": 0}, "prompt_lookup_min=0 is not allowed: a whole number from 1"),
        ({"num_speculative_tokens": 0}, "num_speculative_tokens=0 is not allowed: a whole number from 1"),
        ({"num_speculative_tokens": None}, "num_speculative_tokens=None is not allowed"),
        ({"num_speculative_tokens": 1000}, "from 1 to 128"),
        ({"prompt_lookup_mx": 3}, "did you mean prompt_lookup_max"),
        ({"method": "ngrm"}, "method 'ngrm' is unknown: allowed are .*ngram"),
        ({"method": "none", "num_speculative_tokens": None, "prompt_lookup_max": 3}, "no effect with method none"),
        ({"method": None, "num_speculative_tokens": 2}, "names no method"),
        ({"disable_by_batch_size": 1}, "disable_by_batch_size=1 is not allowed"),
    ],
)
def test_wrong_settings_say_what_is_allowed(given, message):
    with pytest.raises(ConfigError, match=message):
        resolve({"method": "ngram", "num_speculative_tokens": 3} | given)


def test_method_is_detected_from_the_model_name():
    assert resolve({"model": "[ngram]", "num_speculative_tokens": 3}).method == "ngram"
