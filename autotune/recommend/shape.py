"""How large a model is: from its folder's config.json and weights, else from the table of published ones."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autotune.errors import UsageError
from autotune.models import has_weights, is_hub_name, local_folder

BILLION = 1e9
SIZES = {"float32": 4, "float16": 2, "bfloat16": 2}


@dataclass(frozen=True)
class Shape:
    """`kv` is what one token keeps in the cache of one layer, in numbers; `raw` the config.json where there was one.
    `tied`: the words' table going in is the one coming out.
    """

    architecture: str
    parameters: float
    layers: int
    hidden: int
    kv: int
    vocab: int
    raw: Mapping[str, Any]
    tied: bool = False

    @property
    def layer_parameters(self) -> float:
        """Of a layer, the tables of words left out."""
        tables = 1 if self.tied else 2
        return max(0.0, self.parameters - tables * self.vocab * self.hidden) / self.layers


def shape_of(name: str | None, table: Mapping[str, Any]) -> Shape | None:
    """None where nothing here tells; UsageError for a folder that is no model's."""
    if not name:
        return None
    folder = local_folder(name, "model.path") or _cached(name)
    if folder is not None:
        return _read(folder)
    if name in table:
        row = table[name]
        return Shape(**{**row, "parameters": row["parameters"] * BILLION}, raw={})
    if not is_hub_name(name):
        raise UsageError(f"model folder {name!r} does not exist; give a folder, a YAML of conf/model, or org/name")
    return None


def _cached(name: str) -> Path | None:
    """A complete snapshot in the local Hugging Face cache; nothing is downloaded."""
    if not is_hub_name(name):
        return None
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(name, "config.json")
    folder = Path(found).parent if isinstance(found, str) else None
    return folder if folder is not None and has_weights(folder) else None


def _read(folder: Path) -> Shape:
    try:
        raw = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        heads = raw["num_attention_heads"]
        head_dim = raw.get("head_dim") or raw["hidden_size"] // heads
        return Shape(
            architecture=(raw.get("architectures") or ["unknown"])[0],
            parameters=_parameters(folder, raw),
            layers=raw["num_hidden_layers"],
            hidden=raw["hidden_size"],
            kv=2 * (raw.get("num_key_value_heads") or heads) * head_dim,
            vocab=raw["vocab_size"],
            raw=raw,
            tied=bool(raw.get("tie_word_embeddings")),
        )
    except (OSError, ValueError, KeyError) as error:
        raise UsageError(
            f"config.json of {str(folder)!r} says no decoder's shape ({type(error).__name__}: {error}); "
            "give the folder of a causal language model in Hugging Face format"
        ) from error


def _parameters(folder: Path, raw: Mapping[str, Any]) -> float:
    """From the size of the weight files and the precision that the config names."""
    files = list(folder.glob("*.safetensors")) or list(folder.glob("*.bin"))
    size = SIZES.get(str(raw.get("dtype") or raw.get("torch_dtype") or "float16"), 2)
    return sum(file.stat().st_size for file in files) / size
