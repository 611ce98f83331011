"""The speculative config against a target: every rule, the order of the rules, and what is filled in."""

import json
import warnings
from dataclasses import replace

import pytest
from checkpoints import SMALL, build

from engine.draft_config import DraftParallelConfig, TargetFacts
from engine.errors import ConfigError
from engine.proposers import available_methods, resolve
from engine.speculative_config import SpeculativeConfig, field_names

SURFACE = (  # of vLLM 0.12
    *("enforce_eager", "num_speculative_tokens", "model", "method", "quantization", "revision", "code_revision"),
    *("max_model_len", "draft_tensor_parallel_size", "disable_by_batch_size", "disable_padded_drafter_batch"),
    *("prompt_lookup_max", "prompt_lookup_min", "speculative_token_tree", "suffix_decoding_max_tree_depth"),
    *("suffix_decoding_max_cached_requests", "suffix_decoding_max_spec_factor", "suffix_decoding_min_token_prob"),
)


@pytest.fixture
def target(tmp_path) -> TargetFacts:
    return TargetFacts(tmp_path / "target", SMALL, max_model_len=256, dtype="float32")


@pytest.fixture
def save(tmp_path):
    """Write a draft of a layout and return its folder."""

    def write(layout: str, name: str = "draft", **wishes) -> str:
        return str(build(layout, **wishes).save(tmp_path / name))

    return write


def resolved(given, target):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        return resolve(given, target), [str(each.message) for each in caught]


def having(method):
    return pytest.mark.skipif(method not in available_methods(), reason=f"this engine has no method {method} yet")


def test_every_field_of_the_surface_is_there():
    assert set(SURFACE) <= set(field_names())
    assert "draft_model_config" not in field_names()
    with pytest.raises(ConfigError, match="unknown speculative config field 'draft_model_config'"):
        SpeculativeConfig.from_any({"draft_model_config": None})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"model": 3}, "model=3 is not allowed: text"),
        ({"quantization": "fp4"}, "quantization='fp4' is not allowed: fp8, int8, int4"),
        ({"enforce_eager": 1}, "enforce_eager=1 is not allowed: true or false"),
        ({"code_revision": "main"}, "code_revision is not allowed: no code of a checkpoint is ever run"),
        ({"revision": "main"}, "revision='main' is not allowed: model is a folder here"),
        ({"max_model_len": 0}, "max_model_len=0 is not allowed: a whole number >= 1"),
        ({"draft_tensor_parallel_size": 0}, "draft_tensor_parallel_size=0 is not allowed: a whole number >= 1"),
        ({"disable_by_batch_size": True}, "disable_by_batch_size=True is not allowed: a whole number >= 2"),
        ({"draft_sample_method": "random"}, "draft_sample_method='random' is not allowed: greedy, probabilistic"),
        ({"aux_layer_convention": "auto"}, "aux_layer_convention='auto' is not allowed: boundary, output"),
        ({"speculative_token_tree": []}, r"speculative_token_tree=\[\] is not allowed: text"),
    ],
)
def test_parameters_are_checked_by_name_value_and_what_is_allowed(given, message):
    with pytest.raises(ConfigError, match=message):
        resolve({"method": "ngram", "num_speculative_tokens": 3} | given)


def test_a_method_without_weights_takes_no_model(save):
    for model in (save("eagle_bare"), "no/such/folder"):
        with pytest.raises(ConfigError, match="model has no effect with method ngram"):
            resolve({"method": "ngram", "num_speculative_tokens": 3, "model": model})
    assert resolve({"method": "ngram", "num_speculative_tokens": 3, "model": "ngram"}).model is None


def test_a_missing_draft_is_named(tmp_path, target):
    given = {"method": "eagle", "num_speculative_tokens": 3, "model": str(tmp_path / "nowhere")}
    with pytest.raises(ConfigError, match=r"draft model folder .*nowhere does not exist"):
        resolve(given, target)
    (tmp_path / "nowhere").mkdir()
    with pytest.raises(ConfigError, match=r"nowhere/config\.json is missing"):
        resolve(given, target)
    (tmp_path / "nowhere" / "config.json").write_text("{")
    with pytest.raises(ConfigError, match="is not valid JSON"):
        resolve(given, target)


@having("eagle")
def test_the_draft_s_own_configs(save, target):
    config, notes = resolved({"model": save("eagle_llama3", "eagle-draft"), "num_speculative_tokens": 3}, target)
    assert config.method == "eagle"
    assert config.draft_model_config.architecture == "EagleLlamaForCausalLM"
    assert config.draft_model_config.max_model_len == 256
    assert config.draft_model_config.dtype == "float32"
    assert config.draft_parallel_config == DraftParallelConfig(1, 1)
    assert notes == []
    assert resolve(config.given, target) == config
    assert config.use_eagle()


@having("eagle")
@having("draft_model")
def test_the_longest_sequence_that_is_drafted_for(save, target):
    head, small = save("eagle_bare", "eagle-head", max_position_embeddings=64), save("mtp_mimo", "small")
    raw = json.loads((target.folder.parent / "small" / "config.json").read_text())
    raw |= {"num_nextn_predict_layers": 0, "max_position_embeddings": 64}
    (target.folder.parent / "small" / "config.json").write_text(json.dumps(raw))
    eagle, draft = {"model": head, "num_speculative_tokens": 2}, {"model": small, "num_speculative_tokens": 2}
    assert resolve(eagle, target).draft_model_config.max_model_len == 256  # 64 only sizes a table
    assert resolve(draft, target).draft_model_config.max_model_len == 64
    assert resolve(eagle | {"max_model_len": 100}, target).draft_model_config.max_model_len == 100
    with pytest.raises(ConfigError, match="max_model_len=300 is above the 256 positions of the target"):
        resolve(eagle | {"max_model_len": 300}, target)
    with pytest.raises(ConfigError, match="max_model_len=100 is above the 64 positions of the draft"):
        resolve(draft | {"max_model_len": 100}, target)


@having("mlp_speculator")
def test_a_speculator_drafts_no_more_than_it_predicts(save, target):
    folder = save("mlp_speculator")
    assert resolve({"model": folder}, target).num_speculative_tokens == 3
    with pytest.raises(ConfigError, match="num_speculative_tokens=4 is above the 3 stages"):
        resolve({"model": folder, "num_speculative_tokens": 4}, target)


@having("mtp")
def test_mtp_without_a_model_is_the_target_s_own(target):
    raw = build("mtp_mimo", num_nextn_predict_layers=2).config
    own = TargetFacts(target.folder, raw, 256, "float32")
    config, notes = resolved({"method": "mimo_mtp"}, own)
    assert (config.method, config.num_speculative_tokens) == ("mtp", 2)
    assert config.draft_model_config.folder == target.folder
    assert notes == ["method=mimo_mtp is deprecated and taken as method=mtp"]
    assert resolve({"method": "mtp", "num_speculative_tokens": 4}, own).num_speculative_tokens == 4
    with pytest.raises(ConfigError, match="num_speculative_tokens=3 is not allowed: up to 2, the number of MTP mod"):
        resolve({"method": "mtp", "num_speculative_tokens": 3}, own)
    with pytest.raises(ConfigError, match="carries no MTP modules"):
        resolve({"method": "mtp", "num_speculative_tokens": 3}, target)


@having("eagle3")
def test_a_draft_for_another_target_is_refused(save, target):
    folder = save("eagle3_reference", target={"vocab_size": 50})
    with pytest.raises(ConfigError, match=r"draft has a vocabulary of 50 and the target .*target one of 96"):
        resolve({"method": "eagle3", "model": folder, "num_speculative_tokens": 3}, target)
    folder = save("eagle3_reference", "wide", target_hidden_size=128)
    with pytest.raises(ConfigError, match=r"target_hidden_size=128 of .* does not fit the target's hidden_size=64"):
        resolve({"method": "eagle3", "model": folder, "num_speculative_tokens": 3}, target)


@having("eagle3")
def test_a_target_that_vllm_refuses_is_said(save, target):
    other = TargetFacts(target.folder, SMALL | {"model_type": "mistral"}, 256, "float32")
    given = {"method": "eagle3", "model": save("eagle3_reference"), "num_speculative_tokens": 3}
    assert "vLLM 0.12 refuses eagle3 for targets of type mistral" in resolved(given, other)[1][0]
    assert resolved(given, target)[1] == []


@having("eagle")
def test_a_draft_is_in_what_it_is_stored_in_and_unknown_storage_is_refused(save, target):
    given = {"method": "eagle", "num_speculative_tokens": 3}
    config = resolve(given | {"model": save("eagle_bare"), "quantization": "int4"}, target).draft_model_config
    assert (config.quantization, config.stored) == ("int4", None)
    folder = save("eagle_bare", quantization_config={"quant_method": "gptq", "bits": 4, "group_size": 64})
    config = resolve(given | {"model": folder}, target).draft_model_config
    assert (config.quantization, config.stored) == ("gptq", "gptq, 4 bits, groups of 64")
    with pytest.raises(ConfigError, match=r"quantization='fp8' does not fit: .* is quantized already \(gptq, 4 bits"):
        resolve(given | {"model": folder, "quantization": "fp8"}, target)
    folder = save("eagle_bare", quantization_config={"quant_method": "hqq"})
    with pytest.raises(ConfigError, match=r"is quantized \(hqq\), which cannot be read here: awq, gptq, fp8"):
        resolve(given | {"model": folder}, target)


@having("mtp")
def test_mtp_of_the_target_s_own_folder_is_in_what_the_target_is_in(target):
    """As vLLM aligns the two."""
    stored = {"quantization_config": {"quant_method": "awq", "bits": 4, "group_size": 128}}
    own = replace(
        target, raw=target.raw | stored | {"num_nextn_predict_layers": 1, "architectures": ["MiMoForCausalLM"]}
    )
    config = resolve({"method": "mtp", "num_speculative_tokens": 1}, own).draft_model_config
    assert (config.quantization, config.stored) == ("awq", "awq, 4 bits, groups of 128")


@having("eagle")
def test_the_order_is_parameters_compatibility_tree_parallel(save, target, monkeypatch):
    """A config that is wrong in every way is mended in the order of the checks."""
    from engine.proposers.eagle import PROPOSER

    monkeypatch.setattr(PROPOSER, "knobs", (*PROPOSER.knobs, "speculative_token_tree"))
    wrong = {
        "method": "eagle",
        "num_speculative_tokens": 200,
        "model": save("eagle_bare", "wide", target={"hidden_size": 128}),
        "speculative_token_tree": "[(1,)]",
        "draft_tensor_parallel_size": 2,
    }
    mended = {
        "num_speculative_tokens": 2,
        "model": save("eagle_bare", "right"),
        "speculative_token_tree": "[(0,)]",
        "draft_tensor_parallel_size": 1,
    }
    for name, value in mended.items():
        expected = "hidden_size=128" if name == "model" else name
        with pytest.raises(ConfigError, match=expected):
            resolve(wrong, target)
        wrong[name] = value
    assert resolve(wrong, target).draft_parallel_config == DraftParallelConfig(1, 1)


@having("eagle")
def test_the_draft_s_tensor_parallel_size_is_one_or_the_target_s(save, target):
    wide = TargetFacts(target.folder, SMALL, 256, "float32", tensor_parallel_size=4)
    given = {"method": "eagle", "num_speculative_tokens": 2, "model": save("eagle_bare")}
    assert resolve(given, wide).draft_parallel_config.tensor_parallel_size == 4
    assert resolve(given | {"draft_tensor_parallel_size": 1}, wide).draft_parallel_config.tensor_parallel_size == 1
    with pytest.raises(ConfigError, match="draft_tensor_parallel_size=2 is not allowed: 1 or 4"):
        resolve(given | {"draft_tensor_parallel_size": 2}, wide)


def test_the_hash_tells_whether_the_target_is_tapped_inside():
    hashes = {method: SpeculativeConfig(method=method).compute_hash() for method in ("none", "eagle", "eagle3")}
    assert hashes["none"] == hashes["eagle"] != hashes["eagle3"]
    assert not SpeculativeConfig(method="medusa").use_eagle()


TREE = "[(0,), (1,), (0, 0), (0, 0, 0)]"


@pytest.mark.parametrize("method", ["ngram", "suffix"])
def test_a_tree_says_how_deep_drafts_are(method):
    """Where num_speculative_tokens is not given; the literal stays as it was written."""
    config = resolve({"method": method, "speculative_token_tree": TREE})
    assert (config.num_speculative_tokens, config.speculative_token_tree) == (3, TREE)
    assert resolve(config.given) == config
    assert (
        resolve({"method": method, "speculative_token_tree": TREE, "num_speculative_tokens": 5}).token_tree.depth == 3
    )
    with pytest.raises(ConfigError, match=r"speculative_token_tree is deeper at \(0, 0, 0\): at most num_spec.*=2"):
        resolve({"method": method, "speculative_token_tree": TREE, "num_speculative_tokens": 2})
    with pytest.raises(ConfigError, match=r"speculative_token_tree has \(0, 0\) without its parent"):
        resolve({"method": method, "speculative_token_tree": "[(0, 0)]"})
