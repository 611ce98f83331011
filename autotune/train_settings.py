"""The settings of a head's training: conf/train/<method>.yaml, the model, the workload, and the command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from autotune.errors import UsageError, nearest
from autotune.models import PROJECT, model_folder
from autotune.overrides import CONF, is_path, options
from autotune.schema import build
from autotune.settings import WorkloadSettings, ranged
from engine.training.head_recipe import HeadRecipe
from engine.training.heads import find

GIVEN = ("method", "model", "workload", "train")


@dataclass(frozen=True)
class AnswerSettings:
    """Which prompts the target answers, and how; the comments stand in the YAML files."""

    folder: str
    split: str
    held_out_split: str
    max_tokens: int | None
    prompts: int = ranged(low=1)
    sampled: float = ranged(low=0.0, high=1.0)
    temperature: float = ranged(low=0.01)
    references: int = ranged(low=0)
    held_out_prompts: int = ranged(low=1)
    batch: int = ranged(low=1)
    seed: int = ranged(low=0)


@dataclass(frozen=True)
class HeadSettings:
    """Everything of one training. `head` holds the method's own options (engine/training/heads)."""

    method: str
    model: str
    target: Path
    workload: WorkloadSettings
    export: Path
    folder: Path
    note: str
    device: str
    dtype: str
    feature_gib: float
    draft_tokens: int
    answers: AnswerSettings
    head: Any
    recipe: HeadRecipe
    command: str = field(default="")


def load(method: str, arguments: list[str]) -> HeadSettings:
    """UsageError, one line, for whatever is not known or not possible."""
    given: Any = OmegaConf.to_container(
        OmegaConf.from_dotlist([word for word in arguments if not plain_workload(word)])
    )
    for key in given:
        if key not in GIVEN:
            raise UsageError(f"unknown argument {key!r}; {nearest(str(key), list(GIVEN))}")
    chosen = [word.split("=", 1)[1] for word in arguments if plain_workload(word)]
    name, target = model_of(str(given.get("model", "tiny")))
    config = merged(method, given.get("train") or {})
    return settings(method, name, target, workload(chosen[-1] if chosen else "mixed", given), config, arguments)


def plain_workload(word: str) -> bool:
    """workload=NAME, which OmegaConf could not hold beside workload.KEY=VALUE."""
    return word.startswith("workload=")


def model_of(choice: str) -> tuple[str, Path]:
    """Name and folder of a YAML of conf/model, a folder, or a Hub name."""
    if choice in options("model"):
        entry = OmegaConf.load(CONF / "model" / f"{choice}.yaml")
        return choice, model_folder(str(entry.path)).resolve()
    if not is_path(choice):
        raise UsageError(f"unknown model {choice!r}; {nearest(choice, options('model'))}, or a folder, or org/name")
    folder = model_folder(choice).resolve()
    return Path(choice).name, folder


def workload(name: str, given: Mapping[str, Any]) -> WorkloadSettings:
    if name not in options("workload"):
        raise UsageError(f"unknown workload {name!r}; {nearest(name, options('workload'))}")
    values = OmegaConf.merge(OmegaConf.load(CONF / "workload" / f"{name}.yaml"), given.get("workload") or {})
    return build(WorkloadSettings, OmegaConf.to_container(values), "workload")


def merged(method: str, changes: Mapping[str, Any]) -> Mapping[str, Any]:
    """The method's YAML with the changes, which may only name keys that it has."""
    defaults = {"recipe": asdict(HeadRecipe())}
    config = OmegaConf.merge(defaults, OmegaConf.load(CONF / "train" / f"{method}.yaml"))
    assert isinstance(config, DictConfig)
    OmegaConf.set_struct(config, True)
    try:
        found: Any = OmegaConf.to_container(OmegaConf.merge(config, changes))
    except OmegaConfBaseException as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"{reason}; allowed: the keys of conf/train/{method}.yaml") from error
    return found


def settings(
    method: str, name: str, target: Path, work: WorkloadSettings, config: Mapping[str, Any], arguments: list[str]
) -> HeadSettings:
    label = f"{name}-{config['suffix']}"
    export = config["export"] or (
        f"models/{label}" if target.parent == PROJECT / "models" else f"outputs/heads/{label}"
    )
    try:
        recipe = build(HeadRecipe, config["recipe"], "train.recipe")
    except UsageError:
        raise
    except ValueError as error:
        raise UsageError(f"train.recipe.{error}") from error
    lists = {key: tuple(value) if isinstance(value, list) else value for key, value in config["head"].items()}
    return HeadSettings(
        method=method,
        model=name,
        target=target,
        workload=work,
        export=PROJECT / export,
        folder=PROJECT / (config["folder"] or f"outputs/train/{label}"),
        note=config["note"],
        device=config["device"],
        dtype=config["dtype"],
        feature_gib=float(config["feature_gib"]),
        draft_tokens=int(config["draft_tokens"]),
        answers=build(AnswerSettings, config["answers"], "train.answers"),
        head=build(find(method).OPTIONS, lists, "train.head"),
        recipe=recipe,
        command=" ".join(["python -m autotune.train", *arguments]),
    )
