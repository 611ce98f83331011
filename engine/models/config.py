"""The shape of a decoder, read from a Hugging Face config.json."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engine.errors import ConfigError
from engine.models.quantized.stored import read_stored


@dataclass(frozen=True, slots=True)
class Family:
    """How an architecture differs from plain Llama. `skips` are checkpoint prefixes that its decoder does not use."""

    qkv_bias: bool = False
    qk_norm: bool = False
    rope_neighbours: bool = False  # dimensions 2i and 2i + 1 of a head are rotated together, not i and i + D/2
    skips: tuple[str, ...] = ()


FAMILIES = {
    "LlamaForCausalLM": Family(),
    "MistralForCausalLM": Family(),
    "Qwen2ForCausalLM": Family(qkv_bias=True),
    "Qwen3ForCausalLM": Family(qk_norm=True),
    "MiMoForCausalLM": Family(qkv_bias=True, skips=("model.mtp_layers.",)),
    "Ernie4_5ForCausalLM": Family(rope_neighbours=True, skips=("model.mtp_",)),
}


@dataclass(frozen=True, slots=True)
class DecoderConfig:
    """Shapes in elements. `windows` holds per layer the sliding window in tokens, or None for full attention."""

    architecture: str
    hidden_size: int
    intermediate_size: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    vocab_size: int
    max_position_embeddings: int
    rms_norm_eps: float
    tie_word_embeddings: bool
    qkv_bias: bool
    o_bias: bool
    mlp_bias: bool
    qk_norm: bool
    rope_neighbours: bool
    windows: tuple[int | None, ...]
    eos_token_ids: tuple[int, ...]
    raw: dict[str, Any]

    @property
    def skips(self) -> tuple[str, ...]:
        return FAMILIES[self.architecture].skips


def read_config(folder: Path) -> DecoderConfig:
    """Read config.json (and generation_config.json for the EOS ids) of a model folder."""
    raw = read_raw_config(folder)
    architecture = (raw.get("architectures") or ["(none given)"])[0]
    if architecture not in FAMILIES:
        raise ConfigError(
            f"architecture {architecture} in {folder} is not supported: allowed are {', '.join(FAMILIES)}"
        )
    if raw.get("hidden_act", "silu") != "silu":
        raise ConfigError(f"hidden_act {raw['hidden_act']!r} in {folder} is not supported: allowed is silu")
    read_stored(raw, folder)
    try:
        return _from_raw(raw, architecture, _eos_token_ids(folder, raw))
    except KeyError as error:
        raise ConfigError(f"{folder / 'config.json'} lacks {error.args[0]!r}, which {architecture} needs") from None


def draft_layers_config(raw: dict[str, Any], source: Path, num_layers: int = 1, **changes: Any) -> DecoderConfig:
    """The shape of the Llama-like layers of a draft network from the config.json that describes them.

    `changes` are fields of DecoderConfig that the tensors tell better than the config, such as qkv_bias.
    """
    defaults = {"num_hidden_layers": num_layers, "max_position_embeddings": 2048}
    try:
        return replace(_from_raw(defaults | raw | {"num_hidden_layers": num_layers}, "LlamaForCausalLM", ()), **changes)
    except KeyError as error:
        raise ConfigError(f"{source / 'config.json'} lacks {error.args[0]!r}, which its layers need") from None


def read_raw_config(folder: Path) -> dict[str, Any]:
    """config.json of a model or draft folder, as it is."""
    return _read_json(folder / "config.json", "the folder of a Hugging Face model holds one")


def _from_raw(raw: dict[str, Any], architecture: str, eos_token_ids: tuple[int, ...]) -> DecoderConfig:
    family = FAMILIES[architecture]
    heads = raw["num_attention_heads"]
    biases = bool(raw.get("use_bias", False))
    attention_bias = bool(raw.get("attention_bias", biases))
    return DecoderConfig(
        architecture=architecture,
        hidden_size=raw["hidden_size"],
        intermediate_size=raw["intermediate_size"],
        num_layers=raw["num_hidden_layers"],
        num_heads=heads,
        num_kv_heads=raw.get("num_key_value_heads") or heads,
        head_dim=raw.get("head_dim") or raw["hidden_size"] // heads,
        vocab_size=raw["vocab_size"],
        max_position_embeddings=raw["max_position_embeddings"],
        rms_norm_eps=raw.get("rms_norm_eps", 1e-6),
        tie_word_embeddings=bool(raw.get("tie_word_embeddings", False)),
        qkv_bias=family.qkv_bias or attention_bias,
        o_bias=attention_bias and not family.qkv_bias,
        mlp_bias=bool(raw.get("mlp_bias", biases)),
        qk_norm=family.qk_norm,
        rope_neighbours=family.rope_neighbours,
        windows=_windows(raw, architecture),
        eos_token_ids=eos_token_ids,
        raw=raw,
    )


def _windows(raw: dict[str, Any], architecture: str) -> tuple[int | None, ...]:
    layers, window = raw["num_hidden_layers"], raw.get("sliding_window")
    if window is None or (architecture != "MistralForCausalLM" and not raw.get("use_sliding_window", False)):
        return (None,) * layers
    kinds = raw.get("layer_types")
    if kinds is None:
        first = raw.get("max_window_layers", 0) if architecture != "MistralForCausalLM" else 0
        kinds = ["sliding_attention" if i >= first else "full_attention" for i in range(layers)]
    return tuple(window if kind == "sliding_attention" else None for kind in kinds)


def _eos_token_ids(folder: Path, raw: dict[str, Any]) -> tuple[int, ...]:
    generation = folder / "generation_config.json"
    eos = raw.get("eos_token_id")
    if generation.exists():
        eos = _read_json(generation, "").get("eos_token_id", eos)
    if eos is None:
        return ()
    return tuple(eos) if isinstance(eos, list) else (eos,)


def _read_json(path: Path, hint: str) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path} is missing: {hint}") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid JSON: {error}") from None
