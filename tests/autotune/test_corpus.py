"""The training corpus: the same every time, of the train split only, in the shares that were asked for."""

from collections import Counter
from itertools import islice

import pytest

from autotune import corpus, practice
from autotune.errors import UsageError
from autotune.train import load
from workloads.request import SPLITS
from workloads.splits import split_of

MIXTURE = {"qa": 3, "math": 1, "practice": 1}


def first(number, **changes):
    return list(islice(corpus.documents(**{"mixture": MIXTURE, "joined": 0.1, "seed": 0, **changes}), number))


def test_the_same_seed_gives_the_same_documents():
    assert first(50) == first(50)
    assert first(50) != first(50, seed=1)


def test_shares_and_joined_documents():
    found = first(600)
    shares = Counter(task for task, _ in found)
    assert 0.5 < shares["qa"] / 600 < 0.7
    assert 0.05 < sum(len(turns) > 2 for _, turns in found) / 600 < 0.15
    assert all(turns[-1][0] == "assistant" for _, turns in found)


def test_held_out_documents_are_of_another_split():
    assert not {str(turns) for _, turns in first(300)} & {str(turns) for turns in corpus.held_out("qa", 20)}
    for split in SPLITS:
        example = next(iter(practice.examples(split, 0)))
        names = [word for word in example.reference.rstrip(".").split() if word[0].isupper() and word[-1].isalpha()]
        assert all(split_of(name.strip(".")) == split for name in names)


def test_the_recipe_file_and_its_overrides():
    config = load(["method=none", "model=tiny", "train.recipe.tokens=5"])
    assert config.recipe.tokens == 5
    assert set(config.mixture) >= {"summarization", "code"}


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("model=huge", "allowed: method=none model=tiny"),
        ("method=ngram", "allowed: method=none"),
        ("tokens=5", "unknown argument 'tokens'"),
        ("train.recipe.tokns=5", "tokns"),
    ],
)
def test_wrong_arguments_are_refused(argument, words):
    with pytest.raises(UsageError, match=words):
        load([argument])
