"""A smaller Llama that drafts on its own: the target's embeddings and first layers, distilled on the target's answers.

It sees no hidden state. The chain at pair i has read x_0 .. x_{i+1}; its step 0 is the ordinary pass at position i + 1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.errors import ConfigError
from engine.models.config import DecoderConfig
from engine.models.loader import Weights
from engine.training.heads.base import Chain, Head, at_least, labels
from engine.training.heads.block import Block, Layered, RMSNorm, sizes_of
from engine.training.heads.layout import layer_tensors, llama_like
from engine.training.lessons import Lesson
from engine.training.teacher import Teacher


@dataclass(frozen=True)
class Options:
    num_layers: int = at_least(1, 2)
    intermediate_size: int = at_least(0, 0)  # 0: as the target's
    copied_layers: tuple[int, ...] = (0, 1)  # layers of the target to start from; the others start at random
    labels: str = labels("distribution")


class DraftModel(Head):
    standalone = True

    def __init__(self, teacher: Teacher, options: Options) -> None:
        super().__init__(teacher)
        config = teacher.config
        self.options, self.labels = options, options.labels
        sizes = sizes_of(config)
        self.sizes = replace(sizes, intermediate=options.intermediate_size or sizes.intermediate)
        self.embed_tokens = nn.Parameter(teacher.embeddings.clone())
        self.lm_head = self.embed_tokens if config.tie_word_embeddings else nn.Parameter(teacher.head.clone())
        self.layers = nn.ModuleList(Block(self.sizes) for _ in range(options.num_layers))
        norms = range(options.num_layers)
        self.input_layernorms = nn.ModuleList(RMSNorm(sizes.hidden, sizes.eps) for _ in norms)
        self.norm = RMSNorm(sizes.hidden, sizes.eps)
        with torch.no_grad():
            self.norm.weight.copy_(teacher.norm)
        self.copy_layers(Weights(teacher.folder))

    @torch.no_grad()
    def copy_layers(self, weights: Weights) -> None:
        """Start from the target's own layers; one of another shape than a plain Llama's is refused by name."""
        device = self.embed_tokens.device
        for mine, theirs in enumerate(self.options.copied_layers[: len(self.layers)]):
            for name, part in self.layer(mine).items():
                found = weights.take(f"model.layers.{theirs}.{name}", tuple(part.shape), torch.float32, device)
                part.copy_(found)

    def layer(self, index: int) -> dict[str, Tensor]:
        norms = {f"input_layernorm.{name}": part for name, part in self.input_layernorms[index].named_parameters()}
        return {**norms, **layer_tensors(self.layers[index], "")}

    def chain(self, batch: Lesson, noise: bool = False) -> Chain:
        return DraftChain(self, batch)

    def logits(self, states: Tensor, step: int) -> Tensor:
        return F.linear(self.norm(states), self.lm_head)

    def tensors(self) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {
            "model.embed_tokens.weight": self.embed_tokens,
            "model.norm.weight": self.norm.weight,
        }
        for index in range(len(self.layers)):
            found |= {f"model.layers.{index}.{name}": part for name, part in self.layer(index).items()}
        return found if self.lm_head is self.embed_tokens else found | {"lm_head.weight": self.lm_head}

    def config(self) -> dict[str, Any]:
        return llama_like(self.teacher.config, "LlamaForCausalLM") | {
            "num_hidden_layers": len(self.layers),
            "intermediate_size": self.sizes.intermediate,
            "tie_word_embeddings": self.lm_head is self.embed_tokens,
        }


class DraftChain:
    """Lower layers compute every position, the last one only where chains begin."""

    def __init__(self, head: DraftModel, batch: Lesson) -> None:
        self.head, self.rotary = head, head.rotary(batch)
        self.at = batch.clip(batch.at + 1)
        rows, count = batch.ids.shape
        everywhere = torch.arange(count, device=batch.ids.device).expand(rows, -1)
        x = F.embedding(batch.ids, head.embed_tokens)
        self.layers: list[Layered] = []
        for index, block in enumerate(head.layers):
            assert isinstance(block, Block)
            normed = head.input_layernorms[index](x)
            self.residual = x
            if index + 1 == len(head.layers):
                self.layers.append(Layered(block, self.rotary, normed, self.at))
                break
            whole = Layered(block, self.rotary, normed, everywhere)
            x = whole.run(normed, x)
            self.layers.append(Layered(block, self.rotary, normed, self.at, whole.context.true))
            self.layers[-1].steps = 1  # its step 0 has just been computed for all positions

    def step(self, tokens: Tensor) -> Tensor:
        last = self.layers[-1]
        if not last.steps:
            return last.first(self.residual)
        x = F.embedding(tokens, self.head.embed_tokens)
        for norm, layer in zip(self.head.input_layernorms, self.layers, strict=True):
            x = layer.next(norm(x), x)
        return x


def check(options: Options, config: DecoderConfig) -> None:
    """ConfigError for layers that a plain Llama cannot copy, or that the target does not have."""
    if options.copied_layers and (config.qk_norm or config.qkv_bias or config.o_bias or config.mlp_bias):
        raise ConfigError(
            f"layers of {config.architecture} have head norms or biases, which a Llama draft cannot copy: "
            "give train.head.copied_layers=[]"
        )
    for layer in options.copied_layers:
        if not 0 <= layer < config.num_layers:
            raise ConfigError(f"copied_layers names layer {layer}: the target has 0 to {config.num_layers - 1}")


HEAD, OPTIONS = DraftModel, Options
