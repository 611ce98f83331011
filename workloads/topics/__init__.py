"""Topics: each module makes one kind of subject with its facts (`make(draw) -> Topic`); found by their file names."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from functools import cache

from workloads.draw import Draw
from workloads.topics.fact import Topic

HELPERS = {"fact", "assemble", "filler"}


@cache
def makers() -> tuple[Callable[[Draw], Topic], ...]:
    """The `make` function of every topic module, in order of file name."""
    stems = sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name not in HELPERS)
    return tuple(importlib.import_module(f"{__name__}.{stem}").make for stem in stems)


def random_topic(draw: Draw) -> Topic:
    return draw.pick(makers())(draw)
