"""Every method's YAML, and a random draft in a published layout for any method and target: for contract suites."""

import json
from pathlib import Path
from typing import Any

from checkpoints import build
from omegaconf import OmegaConf

from engine.speculative_config import field_names
from tests.engine.conftest import save_model

YAMLS = sorted((Path(__file__).resolve().parents[2] / "conf" / "method").glob("*.yaml"))
METHODS = [path for path in YAMLS if "method" in OmegaConf.load(path)]  # auto.yaml chooses among the others
LAYOUTS = {
    "eagle": "eagle_llama3",
    "eagle3": "eagle3_reference",
    "medusa": "medusa_reference",
    "mlp_speculator": "mlp_speculator",
    "mtp": "mtp_mimo",
}


def settings_of(path: Path) -> dict[str, Any]:
    """The speculative config of a method's YAML: what is given there, without the study's own keys."""
    known = field_names()
    values = OmegaConf.to_container(OmegaConf.load(path))
    values["method"] = values["method"] or "none"
    return {key: value for key, value in values.items() if key in known and value is not None}


def settings_for(settings: dict[str, Any], target: Path, folder: Path) -> dict[str, Any]:
    """The speculative config of a method's YAML with a draft for `target`, made under `folder` where it needs one."""
    method = settings["method"]
    if "model" not in settings:
        return settings
    config = json.loads((target / "config.json").read_text())
    draft = folder / method
    if method == "draft_model":
        sizes = ("vocab_size", "max_position_embeddings")
        save_model(draft, seed=4, num_hidden_layers=1, **{size: config[size] for size in sizes})
    elif not draft.exists():
        keys = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads")
        more = ("head_dim", "vocab_size", "max_position_embeddings", "rms_norm_eps")
        build(LAYOUTS[method], {key: config[key] for key in (*keys, *more)}).save(draft)
    return settings | {"model": str(draft)}
