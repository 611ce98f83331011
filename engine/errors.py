"""What can go wrong in the engine, told apart where it happens.

Every message says what is wrong, with the value, and what is allowed or what to do.
"""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches


class EngineError(Exception):
    """Base of everything the engine raises on purpose."""


class ConfigError(EngineError, ValueError):
    """The caller asked for something that cannot be: a wrong value, a missing file, an unsupported model."""


class OutOfMemoryError(EngineError, RuntimeError):
    """The configuration is legal but does not fit the memory of the device."""


def refuse_unknown(kind: str, names: Iterable[str], known: Sequence[str]) -> None:
    """Raise a ConfigError for the first of `names` that is not known, with the nearest right one."""
    for name in names:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"allowed: {', '.join(known)}"
            raise ConfigError(f"unknown {kind} {name!r}: {hint}")
