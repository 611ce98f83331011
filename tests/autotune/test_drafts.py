"""The draft of a method: named by the model's YAML, found as a folder or on the Hub, or refused in one line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from omegaconf.errors import InterpolationKeyError

from autotune import arms
from autotune.compose import resolve
from autotune.drafts import draft_folder, draft_folders, no_draft, published
from autotune.errors import UsageError
from autotune.explain import explain
from autotune.models import is_hub_name, wanted
from autotune.overrides import CONF, options
from autotune.worker.session import found

MODELS = published()
PAIRS = [(model, method) for model, drafts in MODELS.items() for method in drafts if method in options("method")]
OURS = ("tiny", "dummy")
REAL = [model for model, drafts in MODELS.items() if drafts and model not in OURS]


def composed(*overrides: str) -> dict:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        plain = OmegaConf.to_container(compose("config", overrides=list(overrides)), resolve=True)
    plain.pop("experiment", None)
    return plain


@pytest.mark.parametrize(("model", "method"), PAIRS, ids=[f"{model}-{method}" for model, method in PAIRS])
def test_a_model_names_its_draft(model: str, method: str) -> None:
    settings = resolve(composed(f"model={model}", f"method={method}"))
    config = arms.speculative_config(settings, {})
    assert config["method"] == method
    assert config["num_speculative_tokens"] >= 1
    assert config.get("model") == MODELS[model][method]


def test_the_names_are_hub_names_and_our_own_are_folders() -> None:
    for model in REAL:
        names = [OmegaConf.load(CONF / "model" / f"{model}.yaml").path, *filter(None, MODELS[model].values())]
        assert all(is_hub_name(name) for name in names), names
    for model in OURS:
        assert {name.split("/")[0] for name in MODELS[model].values()} == {"models"}
        assert not any(is_hub_name(name) for name in MODELS[model].values())


@pytest.mark.parametrize("method", sorted({method for _, method in PAIRS}))
def test_a_method_without_a_draft_says_which_models_have_one(method: str) -> None:
    without = next(model for model in REAL if method not in MODELS[model])
    with pytest.raises(InterpolationKeyError) as caught:
        composed(f"model={without}", f"method={method}")
    line = explain(caught.value, without)
    assert line.startswith(f"model {without} names no draft for method {method}; models that have one are ")
    assert "tiny" in line
    assert line == no_draft(method, without)


def test_a_draft_of_the_command_line_needs_no_yaml(tmp_path: Path) -> None:
    config = composed("model=tiny", "method=eagle3", f"method.model={tmp_path}")
    assert arms.speculative_config(resolve(config), {})["model"] == str(tmp_path)
    assert draft_folder(str(tmp_path), None, "tiny", "eagle3") == tmp_path


def test_a_missing_draft_of_the_embedded_model_says_how_to_train_it() -> None:
    with pytest.raises(UsageError) as caught:
        draft_folder("models/tiny-nothing", None, "tiny", "eagle3")
    assert str(caught.value) == (
        "draft 'models/tiny-nothing' of method eagle3 does not exist; "
        "train it with: python -m autotune.train method=eagle3 model=tiny"
    )
    with pytest.raises(UsageError, match="give a folder in Hugging Face format or org/name, or train it with"):
        draft_folder("/no/such/head", None, "tiny", "eagle3")


def test_every_draft_of_a_search_is_found_before_it_begins(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    config = {"method": "eagle", "model": str(one)}
    assert draft_folders(config, [str(one)], "tiny") == {str(one): str(one)}
    assert draft_folders({"method": "ngram"}, (), "tiny") == {}
    assert draft_folders(None, (), "tiny") == {}
    with pytest.raises(UsageError, match="two' of method eagle does not exist"):
        draft_folders(config, [str(one), str(two)], "tiny")


def test_the_worker_gets_the_folder_and_the_result_keeps_the_name() -> None:
    config = {"method": "eagle", "model": "org/head", "revision": "v2", "num_speculative_tokens": 3}
    folders = {"org/head": "/cache/head"}
    assert found(config, folders) == {"method": "eagle", "model": "/cache/head", "num_speculative_tokens": 3}
    assert found({"method": "ngram"}, folders) == {"method": "ngram"}
    assert found(None, folders) is None


@pytest.mark.parametrize(
    ("files", "patterns"),
    [
        (["model.safetensors", "pytorch_model.bin"], {"*.safetensors"}),
        (["medusa_lm_head.pt", "config.json"], {"*.bin", "*.pt"}),
    ],
)
def test_pickled_weights_are_downloaded_only_where_there_are_no_others(files: list[str], patterns: set[str]) -> None:
    asked = set(wanted(files))
    assert patterns <= asked
    assert not ({"*.safetensors", "*.bin", "*.pt"} - patterns) & asked
    assert "*.py" not in asked


@pytest.mark.parametrize(
    ("words", "network"),
    [
        (["model=llama31_8b", "method=eagle3"], {"HF_HUB_OFFLINE": "1"}),
        (["model=Some-Org/some-model"], {"HF_ENDPOINT": "http://127.0.0.1:9"}),
    ],
    ids=["offline", "nobody answers"],
)
def test_no_network_and_no_cache_is_one_line(tmp_path: Path, words: list[str], network: dict[str, str]) -> None:
    environment = {**os.environ, "HF_HUB_CACHE": str(tmp_path), **network}
    command = [sys.executable, "-m", "autotune", *words, f"outputs={tmp_path}", "tracking=none"]
    done = subprocess.run(command, env=environment, cwd=CONF.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert "is not in the local Hugging Face cache and could not be downloaded" in done.stderr
