"""Drafting methods, one a file. A module here that defines PROPOSER is a method of the module's name."""

from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from engine.errors import ConfigError
from engine.proposers.base import Proposer
from engine.speculative_config import COMMON_FIELDS, SpeculativeConfig, check_count


def available_methods() -> list[str]:
    """The methods that this engine has, by file name."""
    return sorted(module.name for module in iter_modules(__path__) if module.name != "base")


def find_proposer(method: str) -> type[Proposer]:
    """The proposer class of a method; an unknown method is an error that lists what there is."""
    methods = available_methods()
    if method not in methods:
        raise ConfigError(f"method {method!r} is unknown: allowed are {', '.join(methods)}")
    return import_module(f"engine.proposers.{method}").PROPOSER


def resolve(value: SpeculativeConfig | Mapping[str, Any] | None) -> SpeculativeConfig:
    """The config with its method detected, every field checked and defaults filled in; None is no speculation."""
    config = SpeculativeConfig.from_any(value)
    method = config.method or _detect(config)
    proposer = find_proposer(method)
    _refuse_unused(config, method, proposer.knobs)
    check_count("disable_by_batch_size", config.disable_by_batch_size, 2)
    return proposer.fill_defaults(replace(config, method=method))


def _detect(config: SpeculativeConfig) -> str:
    if config.model in ("ngram", "[ngram]"):
        return "ngram"
    methods = ", ".join(available_methods())
    raise ConfigError(f"the speculative config names no method: give method, one of {methods}")


def _refuse_unused(config: SpeculativeConfig, method: str, knobs: tuple[str, ...]) -> None:
    allowed = (*COMMON_FIELDS, *knobs)
    for name in config.given:
        if name not in allowed:
            raise ConfigError(f"{name} has no effect with method {method}: allowed are {', '.join(allowed)}")
