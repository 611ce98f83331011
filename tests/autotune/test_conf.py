"""Every YAML in conf/ composes, is explained, and means something to the program."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from autotune import arms
from autotune.compose import resolve
from autotune.metrics import OBJECTIVES
from autotune.models import PROJECT
from autotune.overrides import CONF
from autotune.search_space import space_of
from autotune.settings import Settings
from engine.speculative_config import SpeculativeConfig

GROUPS = ("model", "method", "workload", "load", "objective", "study", "engine", "tracking", "experiment")
CHOICES = [(path.parent.name, path.stem) for path in sorted(CONF.glob("*/*.yaml")) if path.parent.name in GROUPS]
METHODS = [name for group, name in CHOICES if group == "method" and name != "auto"]


def settings_for(*overrides: str) -> Settings:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        plain = OmegaConf.to_container(compose("config", overrides=list(overrides)), resolve=True)
    plain.pop("experiment", None)
    return resolve(plain)


@pytest.mark.parametrize(("group", "choice"), CHOICES)
def test_every_choice_composes(group: str, choice: str) -> None:
    settings = settings_for(f"{group}={choice}")
    if group != "experiment":
        assert getattr(settings, group).name or group == "study"


def test_the_objectives_are_metrics() -> None:
    for group, choice in CHOICES:
        if group == "objective":
            assert settings_for(f"objective={choice}").objective.metric in OBJECTIVES


@pytest.mark.parametrize("method", METHODS)
def test_a_method_s_start_is_a_legal_point_of_its_space(method: str) -> None:
    settings = settings_for(f"method={method}")
    space = space_of(settings)
    start = space.parameters(space.starts()[0])
    assert set(start) == {dimension.path for dimension in space.dimensions}
    SpeculativeConfig.from_any(arms.speculative_config(settings, start))
    assert arms.speculative_config(settings, start) == arms.speculative_config(settings, {})


def test_auto_is_every_method_that_drafts() -> None:
    settings = settings_for("method=auto")
    assert {method.name for method in settings.methods} == set(METHODS) - {"none"}
    assert settings.left_out == ()
    assert [space_of(settings).parameters(start)["method"] for start in space_of(settings).starts()] == [
        method.name for method in settings.methods
    ]


@pytest.mark.parametrize("method", METHODS)
def test_examples_of_trees_are_legal(method: str) -> None:
    """What stands in a YAML as a comment, and for the others what config.yaml proposes."""
    text = (CONF / "method" / f"{method}.yaml").read_text(encoding="utf-8")
    example = re.search(r"# (speculative_token_tree: {tree.*)", text)
    key, block = example[1].split(": ", 1) if example else ("speculative_token_tree", "{tree: {max_depth: 3}}")
    assert bool(example) is ("${model.drafts" in text)
    if method == "none":
        return
    space = space_of(settings_for(f"method={method}", f"+search.method.{key}={block}"))
    SpeculativeConfig.from_any({"method": method, **_bare(space.parameters(space.starts()[1]))})


def _bare(parameters: dict) -> dict:
    return {path.removeprefix("method."): value for path, value in parameters.items()}


@pytest.mark.parametrize("method", METHODS)
def test_autotune_knows_no_method_by_name(method: str) -> None:
    for path in (PROJECT / "autotune").rglob("*.py"):
        assert f'"{method}"' not in path.read_text(encoding="utf-8") or method == "none", path


@pytest.mark.parametrize("path", sorted(CONF.rglob("*.yaml")), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_key_is_explained(path: Path) -> None:
    """A comment stands above the file and above every key of the first level; presets explain themselves at the top."""
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("#") or lines[1].startswith("#")
    if path.parent.name in GROUPS[:-1]:
        for above, line in pairwise(lines):
            if re.match(r"[a-z]\w*:", line) and not line.startswith("defaults:"):
                assert above.startswith("#"), f"{path.name}: no comment above {line!r}"
    if path.parent.name == "conf":
        for above, line in pairwise(lines):
            if re.match(r"  - \w+: ", line):
                assert above.strip().startswith("#"), f"no comment above {line!r}"
