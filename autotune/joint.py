"""Several methods in one study: the words of the command line that choose them, and the composed config of the choice.

Hydra knows a choice of a group as a file. `method=[a,b]` is made one: an entry "a+b" whose own defaults are the files
of a and b, each under its name, as conf/method/auto.yaml has them all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from autotune.errors import UsageError
from autotune.overrides import CONF, options

GROUP, ALL, NONE = "method", "auto", "none"
SKIP = "skip_without_draft"
OURS = ("name", SKIP, "left_out")


def with_methods(words: list[str]) -> list[str]:
    """The words, with every list of methods made known to Hydra under a name."""
    return [f"{GROUP}={_choices(word.partition('=')[2])}" if word.startswith(f"{GROUP}=") else word for word in words]


def entries(method: object) -> dict[str, Mapping[str, Any]]:
    """The methods of a composed `method` by name, in order; nothing where it is itself one."""
    if not isinstance(method, Mapping) or "method" in method:
        return {}
    return {key: value for key, value in method.items() if isinstance(value, Mapping) and "method" in value}


def name(method: object) -> str:
    """Of the methods together; UsageError where there is none, or a key that belongs to no method."""
    assert isinstance(method, Mapping)
    found = entries(method)
    for key in method:
        if key not in found and key not in OURS:
            raise UsageError(
                f"method.{key} belongs to no method of {method.get('name')}; give method.NAME.{key}, "
                f"with NAME one of {', '.join(found)}"
            )
    if not isinstance(method.get("name"), str):
        raise UsageError(f"method.name is {method.get('name')!r}; it must be text")
    return str(method["name"])


def left_out(method: object) -> tuple[str, ...]:
    """The methods that were left out because the model has no draft for them."""
    return tuple(method.get("left_out", ())) if isinstance(method, Mapping) else ()


def plain(config: Any) -> dict[str, Any]:
    """The resolved container of a composed config, without methods that the model has no draft for if they are to be
    left out. Raises OmegaConf's errors.
    """
    from omegaconf import OmegaConf

    missing: list[str] = []
    method = config.get(GROUP)
    if entries(method) and method.get(SKIP):
        missing = [entry for entry in entries(method) if _lacks_draft(method, entry)]
        config = OmegaConf.masked_copy(config, list(config))
        OmegaConf.set_struct(config, False)
        for entry in missing:
            del config[GROUP][entry]
    found: Any = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    if missing:
        found[GROUP]["left_out"] = missing
    return found


def _lacks_draft(method: Any, entry: str) -> bool:
    from omegaconf.errors import InterpolationKeyError

    try:
        method[entry].get("model")
    except InterpolationKeyError:
        return True
    return False


def _choices(text: str) -> str:
    """`[a,b],c` as `a+b,c`."""
    return re.sub(r"\[([^\[\]]*)\]", lambda found: _known(found[1]), text) if "[" in text else text


def _known(listed: str) -> str:
    """The name of the choice of these methods."""
    names = [name.strip(" '\"") for name in listed.split(",") if name.strip()]
    for wrong, why in ((NONE, "it is always the baseline"), (ALL, "it is all methods already")):
        if wrong in names:
            raise UsageError(f"method=[{listed}] names {wrong}; leave it out, {why}")
    if not names or len(set(names)) < len(names):
        raise UsageError(f"method=[{listed}] is no list of different methods; give it like method=[ngram,suffix]")
    if len(names) == 1:
        return names[0]
    names.sort(key=_simplicity)
    return _stored(names)


def _simplicity(name: str) -> int:
    order = [entry.partition("@")[0] for entry in _all() if isinstance(entry, str)]
    return order.index(name) if name in order else len(order)


def _all() -> list[Any]:
    from omegaconf import OmegaConf

    return list(OmegaConf.load(CONF / GROUP / f"{ALL}.yaml").defaults)


def _stored(names: list[str]) -> str:
    from hydra.core.config_store import ConfigStore

    together = "+".join(names)
    if together not in options(GROUP):
        node = {"defaults": [*(f"{name}@{name}" for name in names), "_self_"], "name": together}
        ConfigStore.instance().store(group=GROUP, name=together, node=node, provider="command line")
    return together
