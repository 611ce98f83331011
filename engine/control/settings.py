"""Check and complete the control fields of a SpeculativeConfig."""

from dataclasses import replace
from typing import Any

from engine.control.schedule import parse
from engine.errors import ConfigError
from engine.speculative_config import SpeculativeConfig, check_count

# Below 70 % acceptance a draft is too long, and above 90 % memory a batch has better uses for it: the usual rules of
# thumb. The rest was chosen so that an answer of a hundred tokens has time for several decisions.
DEFAULTS: dict[str, Any] = {
    "adaptive_low_acceptance": 0.7,
    "adaptive_high_acceptance": 0.85,
    "adaptive_window": 4,
    "adaptive_min_tokens": 1,
    "adaptive_probe_interval": 16,
    "adaptive_memory_threshold": 0.9,
}


def complete_control(config: SpeculativeConfig) -> SpeculativeConfig:
    """The schedule as ranges, and the defaults of the controller where it is on; ConfigError for what cannot be."""
    if config.num_speculative_tokens_per_batch_size is not None:
        ranges = parse(config.num_speculative_tokens_per_batch_size)
        config = replace(config, num_speculative_tokens_per_batch_size=ranges)
    if config.adaptive not in (None, True, False):
        raise ConfigError(f"adaptive={config.adaptive!r} is not allowed: true or false")
    given = [name for name in DEFAULTS if getattr(config, name) is not None]
    if config.adaptive is None and given:
        raise ConfigError(f"{given[0]} has no effect without adaptive=true")
    if config.adaptive:
        config = replace(config, **{name: value for name, value in DEFAULTS.items() if name not in given})
    _check(config)
    return config


def _check(config: SpeculativeConfig) -> None:
    low, high = config.adaptive_low_acceptance, config.adaptive_high_acceptance
    for name in ("adaptive_low_acceptance", "adaptive_high_acceptance", "adaptive_memory_threshold"):
        _check_share(name, getattr(config, name))
    if low is not None and high is not None and low > high:
        raise ConfigError(
            f"adaptive_low_acceptance={low} is above adaptive_high_acceptance={high}: drafts would be shortened and "
            "lengthened at once"
        )
    check_count("adaptive_window", config.adaptive_window, 1)
    check_count("adaptive_probe_interval", config.adaptive_probe_interval, 1)
    check_count("adaptive_min_tokens", config.adaptive_min_tokens, 0)


def _check_share(name: str, value: object) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if value is not None and (not number or not 0 <= value <= 1):  # type: ignore[operator]
        raise ConfigError(f"{name}={value!r} is not allowed: a number from 0 to 1")
