"""Drafting methods, one a file. A module here that defines PROPOSER is a method of the module's name."""

import warnings
from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

from engine import draft_config
from engine.control.settings import complete_control
from engine.detection import MTP_ALIASES, NGRAM_MODELS, Detection, detect, draft_architecture
from engine.draft_config import DraftModelConfig, TargetFacts
from engine.errors import ConfigError
from engine.proposers.base import Proposer
from engine.speculative_config import (
    COMMON_FIELDS,
    DRAFT_FIELDS,
    MAX_SPEC_LEN,
    VERIFY_FIELDS,
    SpeculativeConfig,
    check_count,
    check_parameters,
)
from engine.tree.literal import parse_token_tree
from engine.verification_config import complete_verification


def available_methods() -> list[str]:
    """The methods that this engine has, by file name."""
    return sorted(module.name for module in iter_modules(__path__) if module.name != "base")


def find_proposer(method: str) -> type[Proposer]:
    """The proposer class of a method; an unknown method is an error that lists what there is."""
    methods = available_methods()
    if method not in methods:
        raise ConfigError(f"method {method!r} is unknown: allowed are {', '.join(methods)}")
    return import_module(f"engine.proposers.{method}").PROPOSER


def resolve(
    value: SpeculativeConfig | Mapping[str, Any] | None, target: TargetFacts | None = None
) -> SpeculativeConfig:
    """The config with its method detected, every field checked and defaults filled in; None is no speculation.

    Checked in this order: parameters, model compatibility, token tree, parallel config; without `target` only what
    needs none of it.
    """
    config = SpeculativeConfig.from_any(value)
    check_parameters(config)
    config = complete_control(config)
    raw = _read_draft(config, target)
    found = detect(config.method, config.model, raw, config.num_speculative_tokens)
    proposer = find_proposer(found.method)
    config = _without_aliases(config, found.method)
    _refuse_unused(config, proposer)
    config = complete_verification(proposer.fill_defaults(_with_length(config, found.n_predict)))
    notes = list(found.warnings)
    if raw is not None and target is not None:
        notes += draft_config.check_compatible(found.method, config.model or str(target.folder), raw, target)
        config = replace(config, draft_model_config=_draft_model(config, found, raw, target))
    if config.speculative_token_tree is not None:
        parse_token_tree(config.speculative_token_tree, config.num_speculative_tokens or 0)
    if raw is not None and target is not None:
        given, splits = config.draft_tensor_parallel_size, proposer.can_split(raw)
        parallel = draft_config.parallel_config(given, target, found.method, splits)
        config = replace(config, draft_parallel_config=parallel)
    for note in notes:
        warnings.warn(note, stacklevel=2)
    return config


def _read_draft(config: SpeculativeConfig, target: TargetFacts | None) -> Mapping[str, Any] | None:
    """config.json of the draft; of mtp without a model that of the target; None for methods without weights."""
    if config.method in available_methods() and "model" not in find_proposer(config.method).knobs:
        return None
    if config.model is not None and config.model not in NGRAM_MODELS:
        return draft_config.read_draft(Path(config.model))
    if config.method == "mtp" or config.method in MTP_ALIASES:
        return target.raw if target is not None else None
    return None


def _without_aliases(config: SpeculativeConfig, method: str) -> SpeculativeConfig:
    return replace(config, method=method, model=None if config.model in NGRAM_MODELS else config.model)


def _refuse_unused(config: SpeculativeConfig, proposer: type[Proposer]) -> None:
    allowed = (*COMMON_FIELDS, *proposer.knobs)
    if "model" in proposer.knobs:
        allowed = tuple(dict.fromkeys((*allowed, *DRAFT_FIELDS)))
    if proposer.drafts:
        allowed = (*allowed, *VERIFY_FIELDS)
    for name in config.given:
        if name not in allowed:
            raise ConfigError(f"{name} has no effect with method {config.method}: allowed are {', '.join(allowed)}")


def _with_length(config: SpeculativeConfig, n_predict: int | None) -> SpeculativeConfig:
    """num_speculative_tokens as given, or the depth of the tree, or as the draft was made for; a draft made for less
    must be run whole times.
    """
    if config.num_speculative_tokens is None:
        tree = config.token_tree
        config = replace(config, num_speculative_tokens=tree.depth if tree is not None else n_predict)
    tokens = config.num_speculative_tokens
    if tokens is None or n_predict is None:
        return config
    check_count("num_speculative_tokens", tokens, 1, MAX_SPEC_LEN)
    if config.method == "mlp_speculator" and tokens > n_predict:
        raise ConfigError(
            f"num_speculative_tokens={tokens} is above the {n_predict} stages (n_predict) of {config.model}"
        )
    if config.method == "mtp" and tokens > n_predict and tokens % n_predict:
        raise ConfigError(
            f"num_speculative_tokens={tokens} is not allowed: up to {n_predict}, the number of MTP modules of "
            f"{config.model or 'the target'}, or a multiple of it"
        )
    return config


def _draft_model(
    config: SpeculativeConfig, found: Detection, raw: Mapping[str, Any], target: TargetFacts
) -> DraftModelConfig:
    name = config.model or str(target.folder)
    quantization, stored = draft_config.aligned_quantization(name, config.quantization, raw)
    return DraftModelConfig(
        folder=Path(config.model) if config.model is not None else target.folder,
        raw=raw,
        architecture=draft_architecture(found.method, raw),
        n_predict=found.n_predict,
        max_model_len=draft_config.draft_max_model_len(found.method, config.max_model_len, raw, target.max_model_len),
        dtype=target.dtype,
        quantization=quantization,
        stored=stored,
    )
