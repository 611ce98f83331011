"""What the generated text promises: answers that follow from the prompt, variety, sound arithmetic and lexicon."""

import re

import pytest

from workloads.build import examples
from workloads.draw import Draw
from workloads.words import language

TASKS = ["summarization", "chat", "qa", "math", "translation", "rag"]


def sample(task, number=150, split="search"):
    return examples(task, split=split, num_prompts=number, seed=5)


@pytest.mark.parametrize("task", TASKS)
def test_text_is_clean(task):
    for example in sample(task):
        for text in (example.prompt[-1].content, example.reference):
            assert not re.search(r"[<{}|]|  | ,|\.\.|\bNone\b", text), text


@pytest.mark.parametrize("task", ["qa", "rag"])
def test_every_key_is_in_the_answer_and_in_the_prompt(task):
    for example in sample(task):
        for key in example.key.split("|"):
            assert key in example.reference
            assert key in example.prompt[-1].content


def test_citations_point_to_the_snippet_that_has_the_key():
    for example in sample("rag"):
        snippets = dict(re.findall(r"^(\[\d\]) (.*)$", example.prompt[-1].content, re.M))
        for cite, key in zip(example.tags["cites"].split("|"), example.key.split("|"), strict=True):
            assert key in snippets[cite]
            assert cite in example.reference


def test_every_step_of_the_arithmetic_is_right():
    for example in sample("math"):
        for left, sign, right, result in re.findall(r"(\d+) ([-+x/]) (\d+) = (\d+)", example.reference):
            assert eval(f"{left} {'*' if sign == 'x' else sign} {right}") == int(result)
        assert example.reference.endswith(f"The answer is {example.key}.")


def test_summaries_reuse_the_passage_but_do_not_copy_it():
    shares = []
    for example in sample("summarization"):
        words, prompt = example.reference.split(), set(example.prompt[-1].content.split())
        shares.append(sum(word in prompt for word in words) / len(words))
        assert len(example.reference) < 0.85 * len(example.prompt[-1].content)
    assert 0.75 < sum(shares) / len(shares) < 0.98


def test_prompts_differ_in_more_than_their_names():
    skeletons = {re.sub(r"[A-Z][a-z]+|\d+", "X", example.prompt[-1].content) for example in sample("summarization")}
    assert len(skeletons) > 145


def test_the_lexicon_is_one_to_one():
    tables = (language.NOUNS, language.PLACES, language.ADJECTIVES, language.TIMES, language.NUMBERS)
    words = [word for table in tables for word in table.values()] + [verb for _, verb in language.VERBS.values()]
    assert len(words) == len(set(words))


def test_alternatives_nest_and_slots_fill():
    said = {Draw("train", str(index)).say("{a|{b|c} <n>}", n="d") for index in range(40)}
    assert said == {"a", "b d", "c d"}
