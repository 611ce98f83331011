"""A command line typed once more with other words."""

from __future__ import annotations

import shlex
from collections.abc import Iterable

HEAD = 3  # python -m autotune


def again(command_line: str, *changes: str, module: str = "") -> str:
    """The command with `changes` in place of the words that set the same keys. A change of the method takes the
    method's own keys with it, because another one may not have them.
    """
    words = shlex.split(command_line)
    head, typed = words[:HEAD], words[HEAD:]
    if module:
        head = ["python", "-m", module]
    keys = {key_of(change) for change in changes}
    kept = [word for word in typed if not _replaced(key_of(word), keys)]
    return shlex.join([*head, *kept, *changes])


def value_of(command_line: str, key: str, default: str) -> str:
    """What the command gives a key, or a group."""
    found = [word.partition("=")[2] for word in shlex.split(command_line)[HEAD:] if key_of(word) == key]
    return found[-1] if found else default


def key_of(word: str) -> str:
    return word.partition("=")[0].lstrip("+~")


def _replaced(key: str, keys: Iterable[str]) -> bool:
    of_method = key.startswith(("method.", "search.method."))
    return key in keys or ("method" in keys and of_method)
