"""Command-line words that Hydra's grammar does not know: a model that is a folder or a Hub name instead of a YAML."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

CONF = Path(__file__).resolve().parent.parent / "conf"


def options(group: str) -> list[str]:
    """The YAMLs of a group."""
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def with_models(words: list[str]) -> list[str]:
    """The words, with every `model=` choice that is a path or a Hub name made known to Hydra under a short name."""
    return [_model_word(word) if word.startswith("model=") else word for word in words]


def options_first(words: list[str]) -> list[str]:
    """Flags before overrides, in whatever order they were typed; the parser wants the overrides together at the end."""
    overrides = [word for word in words if "=" in word and not word.startswith("-")]
    return [word for word in words if word not in overrides] + overrides


def _model_word(word: str) -> str:
    choices = word.removeprefix("model=").split(",")
    return "model=" + ",".join(_known(choice.strip("'\"")) for choice in choices)


def _known(choice: str) -> str:
    """The choice itself if it is a YAML or no path at all; else the name of a new entry of the group."""
    if choice in options("model") or not is_path(choice):
        return choice
    from hydra.core.config_store import ConfigStore

    name = "path." + re.sub(r"[^\w.-]+", "-", choice).strip("-.")
    node = {"name": Path(choice).name, "path": choice, "drafts": {}}
    ConfigStore.instance().store(group="model", name=name, node=node, provider="command line")
    return name


def override(key: str, value: object) -> str:
    """A word that sets a key, quoted for Hydra and for the shell where either needs it."""
    plain = not isinstance(value, str) or re.fullmatch(r"[\w./:-]+", value)
    return f"{key}={value}" if plain else shlex.quote(f'{key}="{value}"')


def is_path(choice: str) -> bool:
    """Names of YAMLs have no slash; a folder beside us may."""
    return "/" in choice or choice.startswith((".", "~")) or (Path(choice).is_dir() and bool(choice))
