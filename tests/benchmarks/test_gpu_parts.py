"""Parts of the GPU benchmark that are held against something else: methods, the peer's weights, near ties, steps."""

from dataclasses import replace

import pytest
import torch
from omegaconf import OmegaConf

from benchmarks.gpu import agreement, lossless, ties
from benchmarks.gpu.methods import METHODS, TINY
from benchmarks.gpu.peer import peer_of
from engine import Engine, SamplingParams
from engine.speculative_config import field_names
from tests.engine.test_dummy_weights import shrunk

CPU = torch.device("cpu")
GREEDY = SamplingParams(max_tokens=12, temperature=0.0)


def test_methods_are_those_of_conf():
    """A stateful look-up and what needs no proof are left out."""
    for path in (TINY.parents[1] / "conf" / "method").glob("*.yaml"):
        if path.stem not in ("none", "suffix", "auto"):
            ours, theirs = METHODS[path.stem], OmegaConf.load(path)
            given = {key for key in field_names() & theirs.keys() if not OmegaConf.is_missing(theirs, key)} - {"model"}
            assert {key: theirs[key] for key in given if theirs[key] is not None} | {"model": ours.get("model")} == {
                "model": None,
                **ours,
            }, path


def test_heads_are_those_of_the_model_s_yaml():
    drafts = OmegaConf.load(TINY.parents[1] / "conf" / "model" / "tiny.yaml").drafts
    assert {each["method"]: each["model"] for each in METHODS.values() if "model" in each} == {
        method: str(TINY.parents[1] / folder) for method, folder in drafts.items()
    }


@pytest.mark.parametrize("name", ["llama31-8b", "qwen3-0.6b"])
def test_transformers_has_the_engine_s_weights(name, tmp_path):
    """Embeddings tied and not; the same text comes out."""
    engine = Engine.load(shrunk(name, tmp_path / "target"), load_format="dummy", dtype="float32", num_threads=1)
    prompt = [5, 6, 7, 8]
    params = replace(GREEDY, ignore_eos=True)
    assert peer_of(engine)(prompt)(12) == engine.generate([prompt], params)[0].token_ids


@pytest.fixture(scope="module")
def engine():
    return Engine.load(TINY, dtype="float32", num_threads=1, max_model_len=128)


def test_outputs_may_part_only_where_the_target_all_but_ties(engine):
    (expected,) = engine.generate([[40, 41, 42, 43]], GREEDY)
    assert ties.parting(engine, expected, expected, GREEDY) is None
    other = replace(expected, token_ids=[*expected.token_ids[:3], expected.token_ids[3] + 1, *expected.token_ids[4:]])
    found = ties.parting(engine, other, expected, GREEDY)
    assert (found.place, found.allowed) == (3, ties.NEAR_TIE)
    assert found.gap > found.allowed
    assert not found.is_tie
    shorter = replace(expected, token_ids=expected.token_ids[:5])
    assert not ties.parting(engine, shorter, expected, GREEDY).is_tie


def test_two_shapes_of_step_differ_by_rounding_only(engine):
    (output,) = engine.generate([[40, 41, 42, 43]], GREEDY)
    tokens = output.prompt_token_ids + output.token_ids
    assert ties.shape_noise(engine, tokens, 4) < 1e-3
    half = Engine.load(TINY, dtype="bfloat16", num_threads=1, max_model_len=128)
    assert 1e-3 < ties.shape_noise(half, tokens, 4) < 2.0


def test_in_half_precision_the_noise_is_what_is_allowed(monkeypatch):
    half = Engine.load(TINY, dtype="bfloat16", num_threads=1, max_model_len=128)
    (expected,) = half.generate([[40, 41, 42, 43]], GREEDY)
    other = replace(expected, token_ids=[expected.token_ids[0] + 1, *expected.token_ids[1:]])
    monkeypatch.setattr(ties, "shape_noise", lambda *_: 1e9)
    assert ties.parting(half, other, expected, GREEDY).is_tie
    monkeypatch.setattr(ties, "shape_noise", lambda *_: 0.0)
    assert not ties.parting(half, other, expected, GREEDY).is_tie


@pytest.fixture
def proof():
    """Of few short requests; `never` finds nothing to draft."""
    never = METHODS["ngram"] | {"prompt_lookup_min": 60, "prompt_lookup_max": 60}
    return lossless.Proof("float32", lossless.Size(1, 2, 10), {"ngram": METHODS["ngram"], "never": never})


def test_what_each_comparison_runs_on(proof):
    found = {name: engine.environment() for name, engine in proof.engines.items()}
    assert [found[name]["kernels"] for name in ("torch", "eager", "captured")] == ["torch", *["fused (references)"] * 2]
    kinds = [found[name]["steps"] for name in ("torch", "eager", "captured")]
    assert kinds == ["eager", "eager", "fixed shapes, without graphs"]


def test_a_method_that_changes_tokens_or_never_drafts_is_told(proof, monkeypatch):
    found = {each.what: each for each in proof.verdicts()}
    assert found["never = none"].note == "no draft was accepted"
    assert [what for what, each in found.items() if not each.holds] == ["never = none"]
    outputs, accepted = proof.answers("captured", "ngram")
    wrong = [replace(each, token_ids=[1, *each.token_ids[1:]]) for each in outputs]
    proof._made["captured", "ngram"] = lossless.Answers(wrong, accepted)
    assert [each.what for each in proof.verdicts() if each.wrong] == ["captured = eager, ngram", "ngram = none"]


def test_an_error_is_a_verdict_and_leaves_the_engine_free(proof, monkeypatch):
    engine = proof.engines["captured"]
    step, calls = engine.step, []

    def fails():
        calls.append(1)
        if len(calls) == 3:
            raise RuntimeError("no kernel image")
        return step()

    monkeypatch.setattr(engine, "step", fails)
    found = proof.compare("x", ("captured", "none"), ("eager", "none"))
    assert (found.wrong, found.note, found.holds) == (2, "RuntimeError: no kernel image", False)
    assert engine.num_running == engine.num_waiting == 0


def test_kernels_that_differ_or_fail_are_verdicts():
    def fails():
        raise RuntimeError("out of resources")

    one, nan = torch.ones(2), torch.full((2,), float("nan"))
    assert agreement.judged(agreement.Case("k", "s", lambda: [(nan, nan.clone())])).agrees
    assert not agreement.judged(agreement.Case("k", "s", lambda: [(one, nan)])).agrees
    assert not agreement.judged(agreement.Case("k", "s", lambda: [(one, one + 1e-3)])).agrees
    assert not agreement.judged(agreement.Case("k", "s", lambda: [(one.long(), one.long() + 1)])).agrees
    assert agreement.judged(agreement.Case("k", "s", fails)).note == "RuntimeError: out of resources"
