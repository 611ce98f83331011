"""Hydra's errors in one line each: what is wrong, and the nearest right name."""

from __future__ import annotations

import re

from autotune.drafts import no_draft
from autotune.errors import nearest
from autotune.overrides import CONF


def explain(error: Exception, model: str = "") -> str:
    """The line for an error of Hydra or OmegaConf; `model` is the name of the one that was chosen, if it is known."""
    text = str(error)
    draft = re.search(r"Interpolation key 'model\.drafts\.(\w+)' not found", text)
    if draft:
        return no_draft(draft[1], model)
    option = re.search(r"Could not (?:find|load) '([\w-]+)/([^']+)'", text)
    if option and (CONF / option[1]).is_dir():
        return unknown_option(option[1], option[2])
    group = re.search(r"Could not override '([^'@]+)(?:@[^']*)?'.*\nNo match in the defaults list", text, re.S)
    if group:
        return f"unknown group {group[1]!r}; {nearest(group[1], groups())}"
    key = re.search(r"Could not override '([^']+)'", text) or re.search(r"full_key: (\S+)", text)
    if key:
        return unknown_key(key[1], text)
    return " ".join(line.strip() for line in text.splitlines() if line.strip())


def unknown_option(group: str, choice: str) -> str:
    from autotune.overrides import options

    extra = ", or a folder, or org/name" if group == "model" else ""
    return f"unknown {group} {choice!r}; {nearest(choice, options(group))}{extra}"


def unknown_key(key: str, text: str) -> str:
    """A key that the composed config does not have, by its dotted path."""
    from autotune.known import known_keys

    keys = known_keys()
    if key in keys:
        return " ".join(line.strip() for line in text.splitlines() if line.strip())
    root, last = key.partition(".")[0], key.rpartition(".")[2]
    same_group = [name for name in keys if name.startswith(root + ".")]
    same_key = [name for name in same_group if name.endswith("." + last)]  # of another of several methods
    if same_key:
        return f"unknown key {key!r}; allowed: {', '.join(same_key)}"
    return f"unknown key {key!r}; {nearest(key, same_group or groups())}"


def groups() -> list[str]:
    return sorted(path.name for path in CONF.iterdir() if path.is_dir())
