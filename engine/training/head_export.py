"""Write a head as the published folder of its method; weights in bfloat16 that float16 represents exactly too."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from engine.training.export import exact_in_half
from engine.training.heads.base import Head

TOKENIZER_FILES = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja", "tokenizer.model",
    "vocab.json", "merges.txt", "added_tokens.json", "generation_config.json",
)  # fmt: skip


def export_head(head: Head, folder: Path) -> None:
    """config.json and the weights, each replaced in one move; a model of its own gets the target's tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: stored(part).contiguous() for name, part in head.tensors().items()}
    save_file(tensors, folder / f"{head.file}.new", metadata={"format": "pt"})
    os.replace(folder / f"{head.file}.new", folder / head.file)
    (folder / "config.json.new").write_text(json.dumps(head.config(), indent=2) + "\n")
    os.replace(folder / "config.json.new", folder / "config.json")
    if head.standalone:
        for name in TOKENIZER_FILES:
            if (head.teacher.folder / name).exists():
                shutil.copyfile(head.teacher.folder / name, folder / name)


def stored(part: Tensor) -> Tensor:
    """Trained weights rounded; index tables and the target's own weights as they are."""
    part = part.detach().cpu()
    return exact_in_half(part) if part.dtype == torch.float32 else part


@torch.no_grad()
def round_parameters(head: Head) -> None:
    """Make the network the one that was written, so that what is measured is what is shipped."""
    for part in head.parameters():
        part.copy_(exact_in_half(part).float())
