"""Run the command line as a user does, on an engine without a model or on a small random one."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parents[2]
CONF = Path(__file__).with_name("conf")


@dataclass(frozen=True)
class Done:
    """What a command came to."""

    status: int
    out: str
    err: str
    outputs: Path

    @property
    def line(self) -> dict[str, Any]:
        return json.loads(self.out.strip().splitlines()[-1])

    @property
    def folder(self) -> Path:
        return PROJECT / self.line["outputs"]

    @property
    def trials(self) -> list[dict[str, Any]]:
        return [json.loads(text) for text in (self.folder / "trials.jsonl").read_text().splitlines()]


class Commands:
    """`python -m autotune ...` in the project's folder, with outputs and models of the test's own."""

    project = PROJECT

    def __init__(self, folder: Path) -> None:
        self.outputs = folder / "outputs"
        self.model = folder / "model"
        self.model.mkdir()
        (self.model / "config.json").write_text("{}")
        (self.model / "model.safetensors").write_bytes(b"")

    def words(self, *words: str, module: str = "autotune") -> list[str]:
        return [sys.executable, "-m", module, "--config-dir", str(CONF), f"outputs={self.outputs}", *words]

    def fake(self, *words: str) -> list[str]:
        """The words for the engine without a model, on few prompts and without tracking unless it is asked for."""
        tracking = () if any(word.startswith("tracking") for word in words) else ("tracking=none",)
        few = ("workload.num_prompts=8", "workload.num_confirm_prompts=8", "workload.max_tokens=40")
        return [f"model={self.model}", "engine=fake", *few, *tracking, *words]

    def run(self, *words: str, module: str = "autotune", timeout: float = 120) -> Done:
        done = subprocess.run(
            self.words(*words, module=module), cwd=PROJECT, capture_output=True, text=True, timeout=timeout, check=False
        )
        return Done(done.returncode, done.stdout, done.stderr, self.outputs)

    def tune(self, *words: str) -> Done:
        return self.run(*self.fake(*words))

    def bench(self, *words: str) -> Done:
        return self.run(*self.fake(*words), module="autotune.bench")


@pytest.fixture(scope="session")
def make_commands() -> type[Commands]:
    """For fixtures that outlive a test."""
    return Commands


@pytest.fixture
def commands(tmp_path: Path) -> Commands:
    return Commands(tmp_path)


@pytest.fixture(scope="session")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two layers of random weights, and a byte-level tokenizer without merges."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("llama")
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: index for index, token in enumerate(["<s>", "</s>", *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>").save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(vocab_size=len(vocabulary), hidden_size=64, num_hidden_layers=2, num_attention_heads=4,
                         num_key_value_heads=2, intermediate_size=128, max_position_embeddings=2048,
                         bos_token_id=0, eos_token_id=1)  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder
