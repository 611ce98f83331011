"""Several objectives on the command line: `objective=[tpot,goodput]` is conf/objective/pareto.yaml with these two."""

from __future__ import annotations

import re
from typing import Any

from autotune.overrides import CONF, options

GROUP, SEVERAL = "objective", "pareto"


def with_objectives(words: list[str]) -> list[str]:
    """The words, with every list of objectives made known to Hydra under a name."""
    return [_word(word) if word.startswith(f"{GROUP}=") else word for word in words]


def _word(word: str) -> str:
    return re.sub(r"\[([^\[\]]*)\]", lambda found: _known(found[1]), word)


def _known(listed: str) -> str:
    """The name of the choice of these metrics."""
    from hydra.core.config_store import ConfigStore

    names = [name.strip(" '\"") for name in listed.split(",") if name.strip()]
    together = "+".join(names) or "none"
    node = {"defaults": [SEVERAL, "_self_"], "name": together, "metrics": [_metric(name) for name in names]}
    ConfigStore.instance().store(group=GROUP, name=together, node=node, provider="command line")
    return together


def _metric(name: str) -> str:
    """That of the YAML where there is one of this name, else the name: it is checked with all others."""
    from omegaconf import OmegaConf

    if name not in options(GROUP):
        return name
    choice: Any = OmegaConf.load(CONF / GROUP / f"{name}.yaml")
    return str(choice.get("metric", name))
