"""The draft networks in training form: one file a method with its network, its options and its published layout."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from types import ModuleType

SUPPORT = ("base", "block", "layout", "lookup")


def methods() -> tuple[str, ...]:
    """The methods that have a head to train."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name not in SUPPORT))


def find(method: str) -> ModuleType:
    """The module of a method: HEAD, the network; OPTIONS, its settings; perhaps check(options, target's config)."""
    return import_module(f"{__name__}.{method}")
