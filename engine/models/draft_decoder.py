"""A whole small model as the draft: any decoder of the family whose vocabulary is the target's."""

import json
from pathlib import Path

from engine.drafting.host import Host
from engine.errors import ConfigError
from engine.models.config import read_config
from engine.models.decoder import Decoder, load_weights


def load_draft_decoder(folder: Path, host: Host, max_model_len: int) -> Decoder:
    """The decoder in `folder`, in the target's dtype and on its device; ConfigError if it speaks other tokens."""
    config, target = read_config(folder), host.target
    check_tokenizer(folder, target.folder)
    shard, product_for = host.shard, host.product_for
    weights = load_weights(folder, config, target.dtype, target.device, target.load_format, shard)
    return Decoder(shard.config(config), weights, max_model_len, product_for(weights.matrices), target.kernels)


def check_tokenizer(folder: Path, target_folder: Path) -> None:
    """The draft's token ids must mean what the target's mean; that there are as many is known (draft_config.py)."""
    ours, theirs = _token_ids(folder), _token_ids(target_folder)
    if ours is not None and theirs is not None and ours != theirs:
        example = min((ours.items() ^ theirs.items()), key=lambda pair: pair[1])
        raise ConfigError(
            f"the tokenizers of the draft model {folder} and the target {target_folder} differ (for example at token "
            f"{example[1]}, {example[0]!r}): they must be the same"
        )


def _token_ids(folder: Path) -> dict[str, int] | None:
    """Token -> id of a folder's tokenizer.json, or None where there is none."""
    path = folder / "tokenizer.json"
    if not path.is_file():
        return None
    vocab = json.loads(path.read_text(encoding="utf-8")).get("model", {}).get("vocab")
    return vocab if isinstance(vocab, dict) else None
