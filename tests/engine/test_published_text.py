"""An outside oracle: the greedy text that the author of stories260K published."""

import pytest

from engine import Engine, SamplingParams

GREEDY = SamplingParams(max_tokens=256, temperature=0.0, ignore_eos=True)


@pytest.fixture(scope="module")
def engine(shared):
    return Engine.load(shared / "models/stories260K-hf", dtype="float32", max_num_seqs=2)


@pytest.fixture(scope="module")
def published(shared):
    page = (shared / "models/stories260K-hf/published_output.md").read_text()
    return page.split("tok512.bin -t 0.0\n")[1].split("\n```")[0]


def test_without_speculation(engine, published):
    engine.configure_speculation(None)
    assert engine.generate([[1]], GREEDY)[0].text.strip() == published


@pytest.mark.parametrize("k", range(1, 9))
def test_with_ngram(engine, published, k):
    engine.configure_speculation(
        {"method": "ngram", "num_speculative_tokens": k, "prompt_lookup_min": 1, "prompt_lookup_max": 4}
    )
    assert engine.generate([[1]], GREEDY)[0].text.strip() == published
    assert engine.stats.num_accepted_tokens > 0
