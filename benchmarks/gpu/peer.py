"""transformers' generate on the very weights of an engine that was loaded with load_format=dummy."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from engine import Engine
from engine.hub import load_transformers
from engine.models.dummy import DummyWeights

Answer = Callable[[int], list[int]]


def build(folder: Path, dtype: torch.dtype, device: torch.device) -> Any:
    """The model of a config.json, its tensors made where they lie: random ones depend on name and shape alone."""
    transformers = load_transformers()
    config = transformers.AutoConfig.from_pretrained(folder)
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(config, dtype=dtype).eval()
    weights = DummyWeights(folder)
    made = {name: weights.take(name, tuple(p.shape), dtype, device) for name, p in model.named_parameters()}
    model.load_state_dict(made, strict=False, assign=True)
    model.tie_weights()
    model.model.rotary_emb = type(model.model.rotary_emb)(config=config).to(device)
    return model


def greedy(model: Any, prompt: Sequence[int]) -> Answer:
    """Asks for so many tokens, one sequence, KV cache on."""
    ids = torch.tensor([list(prompt)], device=model.device)

    @torch.inference_mode()
    def answer(tokens: int) -> list[int]:
        out = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=tokens,
            min_new_tokens=tokens,
            do_sample=False,
            use_cache=True,
            pad_token_id=0,
        )
        return out[0, ids.shape[1] :].tolist()

    return answer


def peer_of(engine: Engine) -> Callable[[Sequence[int]], Answer]:
    """What builds the contender once it is asked for: a prompt -> answers."""
    target = engine._target
    return lambda prompt: greedy(build(target.folder, target.dtype, target.device), prompt)
