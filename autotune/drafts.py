"""The drafts of a model: which method has one, and the folders where they lie."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from autotune.errors import UsageError
from autotune.models import EMBEDDED, from_hub, is_hub_name, local_folder
from autotune.overrides import CONF

REPLAY = "replay"  # the model of conf/model that is none


def draft_folder(name: str, revision: str | None, model: str, method: str) -> Path:
    """The folder of a draft given as a folder or a Hub name; UsageError says how to get one that is missing."""
    folder = local_folder(name, "method.model")
    if folder is not None:
        return folder
    if is_hub_name(name):
        return from_hub(name, revision)
    ways = [] if Path(name).parts[:1] == (EMBEDDED,) else ["give a folder in Hugging Face format or org/name"]
    if (CONF / "train" / f"{method}.yaml").is_file():
        ways.append(f"train it with: python -m autotune.train method={method} model={model}")
    raise UsageError(f"draft {name!r} of method {method} does not exist; {', or '.join(ways)}")


def draft_folders(config: Mapping[str, object] | None, others: Iterable[object], model: str) -> dict[str, str]:
    """Folders by what a speculative config calls its draft; `others` are further names that a search may try."""
    if config is None:
        return {}
    names = [name for name in dict.fromkeys([config.get("model"), *others]) if isinstance(name, str)]
    revision, method = config.get("revision"), str(config.get("method"))
    return {
        name: str(draft_folder(name, revision if isinstance(revision, str) else None, model, method)) for name in names
    }


def no_draft(method: str, model: str) -> str:
    """The line for a method that a model's YAML names no draft for."""
    if model == REPLAY:
        return f"method {method} needs a model, which a replay has not; choose a method that drafts from tokens alone"
    models = sorted(name for name, drafts in published().items() if method in drafts)
    known = f"models that have one are {', '.join(models)}" if models else "no model of conf/model has one"
    return f"model {model} names no draft for method {method}; {known}, or give method.model=FOLDER or org/name"


def published() -> dict[str, dict[str, str | None]]:
    """The drafts of every YAML in conf/model: by model, the draft by method."""
    from omegaconf import OmegaConf

    found: dict[str, dict[str, str | None]] = {}
    for path in sorted((CONF / "model").glob("*.yaml")):
        config: Any = OmegaConf.load(path)
        found[path.stem] = dict(config.get("drafts") or {})
    return found
