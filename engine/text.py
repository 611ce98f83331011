"""The tokenizer of a model folder, loaded when first needed."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from tokenizers import Tokenizer

from engine.errors import ConfigError
from engine.hub import load_transformers

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class Text:
    """Text to tokens and back. A model driven with token ids alone never loads it."""

    def __init__(self, folder: Path):
        self._folder = folder

    @property
    def exists(self) -> bool:
        return any((self._folder / name).exists() for name in ("tokenizer.json", "vocab.json", "tokenizer.model"))

    @cached_property
    def tokenizer(self) -> "PreTrainedTokenizerBase":
        if not self.exists:
            raise ConfigError(f"{self._folder} has no tokenizer.json: give prompts as token ids, or add the tokenizer")
        return load_transformers().AutoTokenizer.from_pretrained(self._folder, trust_remote_code=False)

    @cached_property
    def backend(self) -> Tokenizer:
        """The tokenizers library's own object: enough to decode, and quick to load where the folder holds it."""
        path = self._folder / "tokenizer.json"
        return Tokenizer.from_file(str(path)) if path.exists() else self.tokenizer.backend_tokenizer

    def encode(self, text: str) -> list[int]:
        return self.tokenizer.encode(text)

    def decode(self, token_ids: list[int]) -> str:
        """The text without special tokens; empty for a folder that has no tokenizer."""
        return self.backend.decode(token_ids, skip_special_tokens=True) if self.exists else ""
