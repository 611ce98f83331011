"""The method that a speculative config means, from names, architectures and model types."""

import pytest
from checkpoints import LAYOUTS, SMALL, build

from engine.detection import MTP_ALIASES, detect, draft_architecture, name_hint
from engine.errors import ConfigError

PLAIN = {"architectures": ["LlamaForCausalLM"], "model_type": "llama"}
DECLARING = {"eagle3_specforge", "eagle3_specforge_hf", "eagle3_speculators", "medusa_reference", "medusa_vllm"}
DECLARING |= {"mlp_speculator", "mlp_speculator_tied"} | {name for name in LAYOUTS if name.startswith("mtp_")}


@pytest.mark.parametrize("layout", sorted(DECLARING))
def test_a_config_that_says_what_it_is_needs_no_method(layout):
    method = next(name for name in ("eagle3", "medusa", "mlp_speculator", "mtp") if layout.startswith(name))
    assert detect(None, "some/draft", build(layout).config).method == method


@pytest.mark.parametrize(
    ("model", "method"),
    [
        ("yuhuili/EAGLE-LLaMA3-Instruct-8B", "eagle"),
        ("yuhuili/EAGLE3-LLaMA3.1-Instruct-8B", "eagle3"),
        ("RedHatAI/Llama-3.1-8B-Instruct-speculator.eagle3", "eagle3"),
        ("/cache/models--yuhuili--EAGLE3-LLaMA3.1-Instruct-8B/snapshots/0123abcd", "eagle3"),
        ("/heads/tiny-eagle3", "eagle3"),
        ("Qwen/Qwen3-0.6B", "draft_model"),
        ("/runs/my_eagle3_run/draft", "draft_model"),  # the folder's own name counts, not where it lies
        ("ngram", "ngram"),
        ("[ngram]", "ngram"),
    ],
)
def test_a_name_tells_the_method(model, method):
    assert detect(None, model, PLAIN).method == method


def test_names_come_before_architectures_and_model_types():
    assert detect(None, "org/EAGLE-eagle3", PLAIN).method == "eagle"
    with pytest.raises(
        ConfigError, match=r"method=eagle but the config\.json of .* declares medusa: give method=medusa"
    ):
        detect(None, "org/eagle-medusa", {"model_type": "medusa"})


@pytest.mark.parametrize("alias", MTP_ALIASES)
def test_aliases_of_mtp_are_deprecated(alias):
    found = detect(alias, None, build("mtp_mimo").config)
    assert found.method == "mtp"
    assert found.n_predict == 1
    assert found.warnings == (f"method={alias} is deprecated and taken as method=mtp",)


def test_a_given_method_is_kept_and_what_vllm_would_read_from_the_path_is_said():
    found = detect("draft_model", "/runs/my_eagle3_run/draft", PLAIN)
    assert found.method == "draft_model"
    assert "vLLM would read eagle3 from the path /runs/my_eagle3_run/draft" in found.warnings[0]
    assert detect("eagle3", "/runs/my_eagle3_run/draft", PLAIN).warnings == ()


@pytest.mark.parametrize(
    ("method", "layout"), [("medusa", "mlp_speculator"), ("eagle", "eagle3_specforge"), ("draft_model", "medusa_vllm")]
)
def test_a_method_that_the_checkpoint_contradicts_is_refused(method, layout):
    with pytest.raises(ConfigError, match=f"method={method} but the config.json of org/draft declares"):
        detect(method, "org/draft", build(layout).config)


def test_mtp_needs_modules():
    with pytest.raises(ConfigError, match=r"the target \(LlamaForCausalLM\) carries no MTP modules: models that may"):
        detect("mtp", None, PLAIN)
    without = build("mtp_mimo").config | {"num_nextn_predict_layers": 0}
    assert detect(None, "org/mimo", without).method == "draft_model"


def test_how_many_tokens_a_draft_was_made_for():
    assert detect("mtp", None, build("mtp_longcat_flash").config).n_predict == 1
    assert detect("mtp", None, build("mtp_deepseek_v3", num_nextn_predict_layers=2).config).n_predict == 2
    assert detect(None, "org/a", build("mlp_speculator", n_predict=4).config).n_predict == 4
    assert detect(None, "org/a", build("eagle3_speculators").config).n_predict == 3
    assert detect("eagle", "org/a", build("eagle_llama3").config).n_predict is None
    again = detect("mtp", None, build("mtp_mimo").config, num_speculative_tokens=3)
    assert "the target has one MTP module" in again.warnings[0]
    trained = build("mtp_mimo").config | {"mtp_trained_steps": 3}
    assert not detect("mtp", None, trained, num_speculative_tokens=3).warnings
    assert "above 3 runs again" in detect("mtp", None, trained, num_speculative_tokens=4).warnings[0]


def test_nothing_to_go_by_is_refused():
    with pytest.raises(ConfigError, match="names no method"):
        detect(None, None, None)
    with pytest.raises(ConfigError, match=r"no config\.json that tells: give method"):
        detect(None, "org/draft", None)


@pytest.mark.parametrize(
    ("method", "layout", "name"),
    [
        ("eagle", "eagle_llama3", "EagleLlamaForCausalLM"),
        ("eagle3", "eagle3_reference", "Eagle3LlamaForCausalLM"),
        ("eagle3", "eagle3_specforge", "LlamaForCausalLMEagle3"),
        ("eagle3", "eagle3_speculators", "Eagle3Speculator"),
        ("medusa", "medusa_reference", "MedusaModel"),
        ("mlp_speculator", "mlp_speculator", "MLPSpeculatorPreTrainedModel"),
        ("mtp", "mtp_deepseek_v3", "DeepSeekMTPModel"),
        ("mtp", "mtp_glm4_moe", "Glm4MoeMTPModel"),
        ("mtp", "mtp_mimo", "MiMoMTPModel"),
        ("mtp", "mtp_ernie", "ErnieMTPModel"),
        ("mtp", "mtp_qwen3_next", "Qwen3NextMTP"),
        ("mtp", "mtp_longcat_flash", "LongCatFlashMTPModel"),
        ("mtp", "mtp_pangu_ultra_moe", "OpenPanguMTPModel"),
    ],
)
def test_vllm_s_names_of_the_draft_networks(method, layout, name):
    assert draft_architecture(method, build(layout, SMALL).config) == name


def test_hints_are_vllm_s():
    assert name_hint("org/Qwen3-8B_eagle3") == "eagle3"
    assert name_hint("eagles/plain") is None
