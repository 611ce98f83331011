"""Which ways of verifying go with which drafts. What would bias the output, or have no effect, is refused."""

from dataclasses import replace
from itertools import pairwise

from engine.errors import ConfigError
from engine.speculative_config import SpeculativeConfig, check_count
from engine.tree.literal import MAX_NODES

ONLY_WITH = {
    "synthetic_acceptance_rates": "synthetic",
    "synthetic_acceptance_length": "synthetic",
    "posterior_threshold": "typical",
    "posterior_alpha": "typical",
}
DYNAMIC = {"dynamic_tree_topk": 10, "dynamic_tree_num_draft_tokens": 59}  # the authors': 60 nodes with the root


def complete_verification(config: SpeculativeConfig) -> SpeculativeConfig:
    """The config with the defaults of what was asked for; ConfigError for what cannot go together."""
    method = config.rejection_sample_method or "standard"
    for name, needed in ONLY_WITH.items():
        if getattr(config, name) is not None and method != needed:
            raise ConfigError(
                f"{name} has no effect with rejection_sample_method={method}: only {needed} verification reads it"
            )
    config = _dynamic_tree(config)
    if method == "block":
        _check_block(config)
    if method == "synthetic":
        _check_synthetic(config)
    if method == "typical":
        config = _typical(config)
    return config


def is_dynamic(config: SpeculativeConfig) -> bool:
    """Whether the shape of the draft's tree is decided anew in every step."""
    return config.dynamic_tree_num_draft_tokens is not None


def _dynamic_tree(config: SpeculativeConfig) -> SpeculativeConfig:
    """Either field asks for a dynamic tree; the other then has the authors' value."""
    given = [name for name in DYNAMIC if getattr(config, name) is not None]
    if not given:
        return config
    if config.speculative_token_tree is not None:
        raise ConfigError(f"{given[0]} and speculative_token_tree exclude each other: a tree is dynamic or static")
    if config.draft_sample_method not in (None, "greedy"):
        raise ConfigError(
            f"draft_sample_method={config.draft_sample_method!r} is not allowed with {given[0]}: a dynamic tree holds "
            "the likeliest tokens, not samples, so p/q tests on them would bias the output; greedy, or leave it out"
        )
    for name in given:
        check_count(name, getattr(config, name), 1, MAX_NODES)
    return replace(config, **{name: value for name, value in DYNAMIC.items() if name not in given})  # type: ignore[arg-type]


def _check_block(config: SpeculativeConfig) -> None:
    if config.speculative_token_tree is not None or is_dynamic(config):
        raise ConfigError("rejection_sample_method=block is not allowed with a token tree: it is for chains")
    if config.draft_sample_method != "probabilistic":
        raise ConfigError(
            "rejection_sample_method=block needs the drafts' probabilities: draft_sample_method=probabilistic"
        )


def _typical(config: SpeculativeConfig) -> SpeculativeConfig:
    threshold = 0.09 if config.posterior_threshold is None else config.posterior_threshold
    alpha = 0.3 if config.posterior_alpha is None else config.posterior_alpha
    for name, value in (("posterior_threshold", threshold), ("posterior_alpha", alpha)):
        if not _is_number(value) or not 0 < value <= 1:
            raise ConfigError(f"{name}={value!r} is not allowed: a number above 0 and at most 1")
    return replace(config, posterior_threshold=threshold, posterior_alpha=alpha)


def _check_synthetic(config: SpeculativeConfig) -> None:
    rates, length = config.synthetic_acceptance_rates, config.synthetic_acceptance_length
    most = config.num_speculative_tokens or 0
    if (rates is None) == (length is None):
        raise ConfigError(
            "rejection_sample_method=synthetic needs one of synthetic_acceptance_rates and synthetic_acceptance_length"
        )
    if length is not None and not (_is_number(length) and 1 <= length <= most + 1):
        raise ConfigError(f"synthetic_acceptance_length={length!r} is not allowed: a number from 1 to {most + 1}")
    if rates is None:
        return
    fine = all(_is_number(rate) and 0 <= rate <= 1 for rate in rates) and len(rates) == most
    if not fine or any(later > rate for rate, later in pairwise(rates)):
        raise ConfigError(
            f"synthetic_acceptance_rates={list(rates)} is not allowed: {most} numbers from 0 to 1, none above the one "
            "before it"
        )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
