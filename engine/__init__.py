"""The speculative engine: requests in, tokens and step statistics out. Knows torch; knows nothing of studies.

Names are imported on first use, so that `import engine.errors` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.core import Engine
    from engine.errors import ConfigError, EngineError, OutOfMemoryError
    from engine.outputs import RequestMetrics, RequestOutput
    from engine.sampling_params import SamplingParams
    from engine.speculative_config import SpeculativeConfig
    from engine.stats import SpecDecodingStats, StepTimings

_HOMES = {
    "Engine": "engine.core",
    "ConfigError": "engine.errors",
    "EngineError": "engine.errors",
    "OutOfMemoryError": "engine.errors",
    "RequestMetrics": "engine.outputs",
    "RequestOutput": "engine.outputs",
    "SamplingParams": "engine.sampling_params",
    "SpeculativeConfig": "engine.speculative_config",
    "SpecDecodingStats": "engine.stats",
    "StepTimings": "engine.stats",
}

__all__ = [
    "ConfigError",
    "Engine",
    "EngineError",
    "OutOfMemoryError",
    "RequestMetrics",
    "RequestOutput",
    "SamplingParams",
    "SpecDecodingStats",
    "SpeculativeConfig",
    "StepTimings",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'engine' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
