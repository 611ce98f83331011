"""Small random checkpoints in every published layout, for tests: `build("eagle3_reference", target).save(folder)`.

A layout is a function from the target's config.json and wishes to a draft config and the shapes of its tensors by name.
The values are random, yet norms lie near one and matrices keep the scale, so that a head can be run.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from checkpoints import eagle, heads, mtp
from checkpoints.pieces import Config, Shapes

Layout = Callable[[Mapping[str, Any], Config], tuple[Config, Shapes]]

SMALL: Config = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 6,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "vocab_size": 96,
    "max_position_embeddings": 256,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "tie_word_embeddings": False,
    "bos_token_id": 1,
    "eos_token_id": 2,
}

SAFETENSORS, BIN = "model.safetensors", "pytorch_model.bin"
LAYOUTS: dict[str, tuple[Layout, str]] = {
    "eagle_llama2": (eagle.eagle_llama2, BIN),
    "eagle_llama3": (eagle.eagle_llama3, BIN),
    "eagle_bare": (eagle.eagle_bare, SAFETENSORS),
    "eagle3_reference": (eagle.eagle3_reference, BIN),
    "eagle3_specforge": (eagle.eagle3_specforge, SAFETENSORS),
    "eagle3_specforge_hf": (eagle.eagle3_specforge_hf, SAFETENSORS),
    "eagle3_speculators": (eagle.eagle3_speculators, SAFETENSORS),
    "medusa_reference": (heads.medusa_reference, "medusa_lm_head.pt"),
    "medusa_vllm": (heads.medusa_vllm, SAFETENSORS),
    "mlp_speculator": (heads.mlp_speculator, SAFETENSORS),
    "mlp_speculator_tied": (heads.mlp_speculator_tied, SAFETENSORS),
    "mtp_deepseek_v3": (mtp.deepseek_v3, SAFETENSORS),
    "mtp_glm4_moe": (mtp.glm4_moe, SAFETENSORS),
    "mtp_pangu_ultra_moe": (mtp.pangu_ultra_moe, SAFETENSORS),
    "mtp_longcat_flash": (mtp.longcat_flash, SAFETENSORS),
    "mtp_qwen3_next": (mtp.qwen3_next, SAFETENSORS),
    "mtp_mimo": (mtp.mimo, SAFETENSORS),
    "mtp_ernie": (mtp.ernie, SAFETENSORS),
}


@dataclass
class Checkpoint:
    """What a folder will hold. Change `config` and `tensors` before `save` to make a broken one."""

    config: Config
    tensors: dict[str, Tensor]
    file: str = "model.safetensors"

    def save(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(json.dumps(self.config))
        if self.file.endswith(".safetensors"):
            save_file(self.tensors, folder / self.file)
        else:
            torch.save(self.tensors, folder / self.file)
        return folder


def build(layout: str, target: Mapping[str, Any] = SMALL, seed: int = 0, **wishes: Any) -> Checkpoint:
    """A checkpoint of `layout` for a target with this config.json; `wishes` are keys of the draft's own config.json."""
    make, file = LAYOUTS[layout]
    config, shapes = make(SMALL | dict(target), wishes)
    generator = torch.Generator().manual_seed(seed)
    tensors = {name: _random(name, shape, generator) for name, shape in shapes.items()}
    if "d2t" in shapes:
        kept = torch.randperm(shapes["t2d"][0], generator=generator)[: shapes["d2t"][0]].sort().values
        tensors["d2t"] = kept - torch.arange(len(kept))
        tensors["t2d"] = torch.zeros(shapes["t2d"], dtype=torch.bool).index_fill_(0, kept, True)
    if "token_map" in shapes:
        tensors["token_map"] = torch.randperm(config["vocab_size"], generator=generator)[: shapes["token_map"][0]]
    return Checkpoint(config, tensors, file)


def _random(name: str, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    noise = torch.randn(shape, generator=generator)
    if len(shape) == 1:
        return noise * 0.1 if name.endswith("bias") else 1 + noise * 0.1
    return noise if "embed" in name or "emb." in name else noise / math.sqrt(shape[-1])
