"""An engine with a knob that does nothing, so that every configuration of it is truly equal to the baseline.

`engine.placebo` is taken and thrown away: all its values share one engine object, down to the same memory, so a study
that finds a difference between them has found noise.
"""

from __future__ import annotations

import inspect
from functools import cache
from pathlib import Path
from typing import Any

from engine import Engine


@cache
def _engine(model: str, options: tuple[tuple[str, Any], ...]) -> Engine:
    return Engine.load(model, None, **dict(options))


def load(model: str | Path, speculative_config: Any = None, *, placebo: int = 0, **options: Any) -> Engine:
    """As `Engine.load`, once for all values of `placebo`."""
    engine = _engine(str(model), tuple(sorted(options.items())))
    engine.configure_speculation(speculative_config)
    return engine


def _signature() -> inspect.Signature:
    """That of `Engine.load` with the knob, because a session refuses options that a loader does not name."""
    own = inspect.signature(Engine.load)
    knob = inspect.Parameter("placebo", inspect.Parameter.KEYWORD_ONLY, default=0)
    return own.replace(parameters=[*own.parameters.values(), knob])


load.__signature__ = _signature()  # type: ignore[attr-defined]
