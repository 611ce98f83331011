"""A draft model drafts its own greedy continuation, whatever was accepted before, and refuses another vocabulary."""

import json

import pytest
import torch
from recorded import record
from slow_head import draft

from engine import Engine, SamplingParams
from engine.errors import ConfigError
from tests.engine.conftest import save_model

PROMPTS = [[1, *range(3, 3 + n)] for n in (5, 41, 17, 30)]


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A target, a small draft, and a draft that is the target with a little noise: it is right most of the time."""
    root = tmp_path_factory.mktemp("pair")
    target = save_model(root / "target", seed=3)
    small = save_model(root / "small", seed=4, num_hidden_layers=1, hidden_size=32, max_position_embeddings=64)
    with torch.no_grad():
        for parameter in target.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.002)
    target.save_pretrained(root / "near")
    return {"target": root / "target", "small": (root / "small", small), "near": (root / "near", target)}


def load(pair, name, batch=1, k=4, **more):
    settings = {"method": "draft_model", "model": str(pair[name][0]), "num_speculative_tokens": k} | more
    return Engine.load(pair["target"], settings, max_num_seqs=batch, max_num_batched_tokens=16, num_threads=1)


def slow(call, model):
    def logits(tokens):
        return model(torch.tensor([tokens])).logits[0, -1]

    return draft(call, lambda: list(call.tokens), lambda tokens, token: [*tokens, token], logits)


@pytest.mark.parametrize("name", ["small", "near"])
@pytest.mark.parametrize(("batch", "temperature"), [(1, 0.0), (3, 0.0), (3, 2.0)])
def test_drafts_are_the_draft_models_own_continuation(pair, name, batch, temperature):
    engine = load(pair, name, batch, draft_sample_method="coupled")
    calls, _ = record(engine, PROMPTS, temperature=temperature)
    assert len(calls) > 15
    with torch.inference_mode():
        for call in calls:
            assert call.drafted == slow(call, pair[name][1])
    if name == "near":  # all of a draft accepted (its last token was never fed) and part of one
        assert {call.accepted for call in calls} & {0, 1, 2, 3}
        assert 4 in {call.accepted for call in calls}


def test_nothing_is_missing_from_the_draft_cache_after_steps_without_drafts(pair):
    """While three run no draft is made; at two the drafts are again what the model would say from all tokens."""
    engine = load(pair, "near", 3, disable_by_batch_size=2)
    calls, _ = record(engine, PROMPTS[:3], max_tokens=20)
    assert min(len(call.tokens) for call in calls) > 20  # the first drafts come late
    with torch.inference_mode():
        for call in calls:
            assert call.drafted == slow(call, pair["near"][1])


def test_max_model_len_of_the_draft_ends_drafting_not_the_request(pair):
    wish = SamplingParams(max_tokens=60, temperature=0.0, ignore_eos=True)
    prompt = [1, *range(3, 30)]
    for limit, end in ((40, 40), (None, 64)):  # the small model has 64 positions
        engine = load(pair, "small", max_model_len=limit) if limit else load(pair, "small")
        calls, outputs = record(engine, [prompt], max_tokens=60)
        assert max(len(call.tokens) + len(call.drafted) for call in calls) == end
        assert len(outputs[0].token_ids) == 60
        engine.configure_speculation(None)
        assert engine.generate([prompt], wish)[0].token_ids == outputs[0].token_ids


def test_max_model_len_above_the_drafts_positions_is_refused(pair):
    with pytest.raises(ConfigError, match="max_model_len=65 is above the 64 positions"):
        load(pair, "small", max_model_len=65)


def test_another_vocabulary_is_refused_with_both_named(pair, tmp_path):
    save_model(tmp_path / "other", vocab_size=80)
    with pytest.raises(ConfigError, match=r"other has a vocabulary of 80 and the target .*target one of 96"):
        load(pair | {"other": (tmp_path / "other", None)}, "other")


def test_another_tokenizer_of_the_same_size_is_refused(tmp_path):
    from engine.models.draft_decoder import check_tokenizer

    for name, vocab in (("a", {"x": 0, "y": 1}), ("b", {"x": 0, "z": 1})):
        (tmp_path / name).mkdir()
        (tmp_path / name / "tokenizer.json").write_text(json.dumps({"model": {"vocab": vocab}}))
    check_tokenizer(tmp_path / "a", tmp_path / "a")
    with pytest.raises(ConfigError, match=r"tokenizers .* differ .*at token 1"):
        check_tokenizer(tmp_path / "a", tmp_path / "b")
