"""The words of the command line that choose several workloads.

Hydra knows a choice of a group as a file. `workload=[a,b]` is made one, an entry "a+b" with the keys of
conf/workload/several.yaml whose own defaults are the files of a and b, each under its name.
"""

from __future__ import annotations

import re
from typing import Any

from autotune.errors import UsageError
from autotune.overrides import CONF

GROUP, FILE = "workload", "several"
COMMON = ("num_prompts", "num_confirm_prompts", "max_tokens", "seed", "temperature")
"""Keys that, where they are given for all, stand in every workload in the place of its own."""


def with_workloads(words: list[str]) -> list[str]:
    """The words, with every list of workloads made known to Hydra under a name."""
    kept = [found[1] for word in words if (found := re.match(rf"{GROUP}\.([\w-]+\.({'|'.join(COMMON)}))=", word))]
    return [_choices(word, kept) if word.startswith(f"{GROUP}=") else word for word in words]


def _choices(word: str, kept: list[str]) -> str:
    """`workload=[a,b],c` as `workload=a+b,c`."""
    return re.sub(r"\[([^\[\]]*)\]", lambda found: _known(found[1], kept), word) if "[" in word else word


def _known(listed: str, kept: list[str]) -> str:
    names = [name.strip(" '\"") for name in listed.split(",") if name.strip()]
    if not names or len(set(names)) < len(names):
        raise UsageError(f"{GROUP}=[{listed}] is no list of different workloads; give it like {GROUP}=[code,chat]")
    if FILE in names:
        raise UsageError(f"{GROUP}=[{listed}] names {FILE}, which is several already; leave it out, or give it alone")
    return names[0] if len(names) == 1 else _stored(names, kept)


def _stored(names: list[str], kept: list[str]) -> str:
    from hydra.core.config_store import ConfigStore
    from omegaconf import OmegaConf

    whole = "+".join(names)
    file: Any = OmegaConf.to_container(OmegaConf.load(CONF / GROUP / f"{FILE}.yaml"))
    own = {"defaults": [*(f"{name}@{name}" for name in names), "_self_"], "name": whole}
    node = {**file, **own, "weights": dict.fromkeys(names, 1), "kept": kept}
    ConfigStore.instance().store(group=GROUP, name=whole, node=node, provider="command line")
    return whole
