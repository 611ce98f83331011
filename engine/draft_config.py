"""The draft's own model and parallel configs, and whether they suit the target. Reads config.json files, no weights."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from engine.errors import ConfigError
from engine.models.quantized.stored import read_stored

Quantization = Literal["fp8", "int8", "int4"]
# RoPE kinds for which max_position_embeddings does no more than size a table.
TABLE_SIZED = ("default", "linear", "llama3")


@dataclass(frozen=True, slots=True)
class TargetFacts:
    """What a speculative config is checked against; all of it known before any weight is read."""

    folder: Path
    raw: Mapping[str, Any]
    max_model_len: int
    dtype: str
    tensor_parallel_size: int = 1


@dataclass(frozen=True, slots=True)
class DraftModelConfig:
    """The draft as it will run: `raw` is its config.json, `max_model_len` the longest sequence it is asked about."""

    folder: Path
    raw: Mapping[str, Any]
    architecture: str
    n_predict: int | None
    max_model_len: int
    dtype: str
    quantization: str | None = None  # what its matrices are rounded to, or stored in where `stored` says how
    stored: str | None = None


@dataclass(frozen=True, slots=True)
class DraftParallelConfig:
    tensor_parallel_size: int = 1
    pipeline_parallel_size: int = 1


def aligned_quantization(
    model: str, given: Quantization | None, raw: Mapping[str, Any]
) -> tuple[str | None, str | None]:
    """What the draft's matrices are in, as given or as they are stored, and a line on how they are stored.

    MTP modules of the target's own folder so are in what the target is in, whose config.json `raw` then is.
    """
    stored = read_stored(raw, model)
    if stored is None:
        return given, None
    if given is not None:
        raise ConfigError(f"quantization={given!r} does not fit: {model} is quantized already ({stored}); leave it out")
    return stored.method, str(stored)


def read_draft(folder: Path) -> dict[str, Any]:
    """config.json of a draft's folder."""
    path = folder / "config.json"
    if not folder.is_dir():
        raise ConfigError(f"draft model folder {folder} does not exist: give the path of a folder with its weights")
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path} is missing: the folder of a draft in Hugging Face format holds one") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid JSON: {error}") from None
    if not isinstance(raw, dict):
        raise ConfigError(f"{path} holds a {type(raw).__name__}: it must be a mapping")
    return raw


def draft_max_model_len(method: str, given: int | None, raw: Mapping[str, Any], target_max_model_len: int) -> int:
    """The least of draft and target, or what was given if neither is shorter.

    A head lives at the target's positions, and a published head's 2048 positions only size a table unless its RoPE is
    scaled by them; such a head is as long as the target. A draft model is as long as its own config.json says.
    """
    raw = raw.get("transformer_layer_config") or raw
    own = raw.get("max_position_embeddings")
    rope = raw.get("rope_parameters") or raw.get("rope_scaling") or {}
    kind = rope.get("rope_type") or rope.get("type") or "default"
    limit = own if own is not None and (method == "draft_model" or kind not in TABLE_SIZED) else target_max_model_len
    if given is None:
        return min(limit, target_max_model_len)
    for whose, most in (("target", target_max_model_len), ("draft", limit)):
        if given > most:
            raise ConfigError(f"max_model_len={given} is above the {most} positions of the {whose}")
    return given


def check_compatible(method: str, model: str, raw: Mapping[str, Any], target: TargetFacts) -> list[str]:
    """Raise where the draft cannot work with the target; what only other engines refuse is returned as warnings."""
    read_stored(raw, model)
    sizes = raw.get("transformer_layer_config") or raw
    _same_vocabulary(model, sizes.get("vocab_size"), target)
    if method in ("eagle", "medusa"):
        _same(method, model, "hidden_size", sizes.get("hidden_size"), target.raw, "hidden_size")
    if method in ("eagle3", "mtp"):
        width = raw.get("target_hidden_size") or sizes.get("hidden_size")
        _same(method, model, "target_hidden_size", width, target.raw, "hidden_size")
    if method == "mlp_speculator":
        _same(method, model, "emb_dim", raw.get("emb_dim", 4096), target.raw, "hidden_size")
    return _only_elsewhere(method, target.raw)


def parallel_config(given: int | None, target: TargetFacts, method: str, splits: bool) -> DraftParallelConfig:
    """draft_tensor_parallel_size is 1 or the target's; not given, it is the target's where the draft can be split."""
    allowed = sorted({1, target.tensor_parallel_size} if splits else {1})
    if not splits and target.tensor_parallel_size > 1 and given not in (None, 1):
        raise ConfigError(
            f"draft_tensor_parallel_size={given} is not allowed: 1, as no layers of this {method} draft can be split"
        )
    if given is not None and given not in allowed:
        raise ConfigError(
            f"draft_tensor_parallel_size={given} is not allowed: {' or '.join(map(str, allowed))}"
            + (", as the target runs on one device" if allowed == [1] else " (1 or the target's)")
        )
    return DraftParallelConfig(given or allowed[-1])


def _same_vocabulary(model: str, size: int | None, target: TargetFacts) -> None:
    own = target.raw["vocab_size"]
    if size is not None and size != own:
        raise ConfigError(
            f"vocab_size={size} does not fit: {model} has a vocabulary of {size} and the target {target.folder} one of "
            f"{own}; give a draft made for this target"
        )


def _same(method: str, model: str, name: str, own: object, target: Mapping[str, Any], key: str) -> None:
    if own is not None and own != target[key]:
        raise ConfigError(
            f"{name}={own} of {model} does not fit the target's {key}={target[key]}: "
            f"method {method} needs a draft made for this target's {key}"
        )


def _only_elsewhere(method: str, target: Mapping[str, Any]) -> list[str]:
    """vLLM 0.12 runs EAGLE-3 for few families of targets; this engine taps any."""
    kind = str(target.get("model_type"))
    if method != "eagle3" or any(family in kind for family in ("llama", "qwen", "minicpm", "gpt_oss")):
        return []
    return [f"vLLM 0.12 refuses eagle3 for targets of type {kind}: allowed there are llama, qwen, minicpm and gpt_oss"]
