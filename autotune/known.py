"""The keys that a command line may set, for suggestions."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any

from autotune.overrides import CONF


def known_keys() -> list[str]:
    """Dotted paths of the config composed with the group choices of this command line."""
    return sorted(_paths(_composed()))


def _composed() -> Any:
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import HydraException
    from omegaconf import OmegaConf

    choices = [
        word for word in sys.argv[1:] if "=" in word and "." not in word.partition("=")[0] and not word.startswith("-")
    ]
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        try:
            config = compose("config", overrides=choices)
        except HydraException:
            config = compose("config")
    return OmegaConf.to_container(config, resolve=False)


def _paths(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in values.items():
        path = f"{prefix}{key}"
        yield path
        if isinstance(value, Mapping):
            yield from _paths(value, path + ".")
