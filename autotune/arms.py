"""From parameters to the arms of a comparison."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autotune.dimension import METHOD
from autotune.measurement import SYNTHETIC, TARGET
from autotune.samples import BASELINE, CANDIDATE, Arm
from autotune.settings import Settings
from autotune.trees import with_depth


def speculative_config(settings: Settings, parameters: Mapping[str, Any]) -> dict[str, Any] | None:
    """The method's fields with the searched values in place, nulls left out; None where the method makes no drafts.

    A token tree says num_speculative_tokens where nothing else does, so that an exported config is complete.
    """
    configured = settings.method_of(parameters).speculative_config
    if configured is None:
        return None
    searched = {path.removeprefix("method."): value for path, value in parameters.items() if path.startswith("method.")}
    given = {**configured, **searched}
    return with_depth({key: value for key, value in given.items() if value is not None})


def output_law(settings: Settings, parameters: Mapping[str, Any]) -> str:
    """Whose law the answers of a candidate have: "target", "lossy" or "synthetic", as all of random weights are."""
    if settings.has_random_weights:
        return SYNTHETIC
    from engine.speculative_config import SpeculativeConfig

    return SpeculativeConfig.from_any(speculative_config(settings, parameters)).output_law


def configured_law(settings: Settings) -> str:
    """Of the configured values; of several methods the law of the first whose answers are not the target's."""
    laws = [output_law(settings, {METHOD: method.name}) for method in settings.all_methods]
    return next((law for law in laws if law != TARGET), TARGET)


def engine_options(settings: Settings, parameters: Mapping[str, Any]) -> dict[str, Any]:
    searched = {path.removeprefix("engine."): value for path, value in parameters.items() if path.startswith("engine.")}
    return {**settings.engine.options, **searched}


def baseline(settings: Settings) -> Arm:
    """No speculation, on the engine as configured."""
    return Arm(BASELINE, None, settings.engine.options)


def candidate(settings: Settings, parameters: Mapping[str, Any], name: str = CANDIDATE) -> Arm:
    return Arm(name, speculative_config(settings, parameters), engine_options(settings, parameters))


def configured(settings: Settings) -> list[Arm]:
    """Every method of the study as it is configured, an arm each."""
    if not settings.methods:
        return [candidate(settings, {})]
    return [candidate(settings, {METHOD: method.name}, f"{CANDIDATE} {method.name}") for method in settings.methods]


def shown(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters by the names people use: the method's fields bare, the engine's keys with their group; "method" is the
    name of the method itself, where several are searched.
    """
    return {path.removeprefix("method."): value for path, value in parameters.items()}
