"""EAGLE-3 (arXiv 2503.01840): features of three depths, no feature loss, trained on its own outputs for several steps.

g = fc(aux) once for every true pair, later the layer's own output before its norm. The attention reads
[input_layernorm(embedding), hidden_norm(g)], the residual is g. Logits cover the draft vocabulary only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from engine.errors import ConfigError
from engine.models.config import DecoderConfig
from engine.training.heads.base import Chain, Head, at_least, shifted
from engine.training.heads.block import Block, Layered, RMSNorm, linear, sizes_of
from engine.training.heads.layout import layer_tensors, llama_like
from engine.training.heads.lookup import prepare_lookup, slow_dims
from engine.training.lessons import Lesson
from engine.training.teacher import Teacher, checked_boundaries


@dataclass(frozen=True)
class Options:
    draft_vocab_size: int = at_least(1, 1536)
    steps: int = at_least(1, 4)
    step_decay: float = at_least(0, 0.8)
    aux_layers: tuple[int, ...] | None = None  # boundaries; None: 2, L // 2, L - 3
    copying_start: bool = True  # engine/training/heads/lookup.py


class Eagle3(Head):
    def __init__(self, teacher: Teacher, options: Options, shown: Tensor) -> None:
        """`shown`: the ids of the draft vocabulary, ascending."""
        super().__init__(teacher)
        config, hidden = teacher.config, teacher.config.hidden_size
        self.boundaries = boundaries(options, config)
        self.steps, self.step_decay = options.steps, options.step_decay
        self.shown, self.copying_start = shown, options.copying_start
        self.fc = linear(len(self.boundaries) * hidden, hidden)
        self.input_layernorm = RMSNorm(hidden, config.rms_norm_eps)
        self.hidden_norm = RMSNorm(hidden, config.rms_norm_eps)
        self.midlayer = Block(sizes_of(config, 2 * hidden))
        self.norm = RMSNorm(hidden, config.rms_norm_eps)
        self.lm_head = linear(hidden, len(shown))
        with torch.no_grad():
            self.lm_head.weight.copy_(teacher.head[shown])
            self.norm.weight.copy_(teacher.norm)

    def prepare(self, batches: Sequence[Lesson]) -> None:
        if self.copying_start:
            teacher = self.teacher
            slow = slow_dims(*teacher.rotation(2))
            prepare_lookup(self.fc, self.midlayer.self_attn, teacher.embeddings, teacher.head, slow, batches)

    def chain(self, batch: Lesson, noise: bool = False) -> Chain:
        return Eagle3Chain(self, batch)

    def attention_input(self, tokens: Tensor, hidden: Tensor) -> Tensor:
        return torch.cat((self.input_layernorm(self.teacher.embed(tokens)), self.hidden_norm(hidden)), -1)

    def logits(self, states: Tensor, step: int) -> Tensor:
        return self.lm_head(self.norm(states))

    def tensors(self) -> dict[str, Tensor]:
        assert self.shown is not None
        covered = torch.zeros(self.teacher.config.vocab_size, dtype=torch.bool)
        covered[self.shown] = True
        return {
            "fc.weight": self.fc.weight,
            "midlayer.input_layernorm.weight": self.input_layernorm.weight,
            "midlayer.hidden_norm.weight": self.hidden_norm.weight,
            **layer_tensors(self.midlayer, "midlayer."),
            "norm.weight": self.norm.weight,
            "lm_head.weight": self.lm_head.weight,
            "d2t": self.shown.cpu() - torch.arange(len(self.shown)),
            "t2d": covered,
        }

    def config(self) -> dict[str, Any]:
        assert self.shown is not None
        return llama_like(self.teacher.config, "LlamaForCausalLMEagle3") | {
            "draft_vocab_size": len(self.shown),
            "eagle_config": {
                "eagle_aux_hidden_state_layer_ids": list(self.boundaries),
                "use_aux_hidden_state": True,
            },
            "aux_layer_convention": "boundary",
            "norm_before_residual": False,
            "tie_word_embeddings": False,
        }


class Eagle3Chain:
    def __init__(self, head: Eagle3, batch: Lesson) -> None:
        assert batch.aux is not None
        self.head, self.last = head, torch.empty(0)
        self.fused = head.fc(batch.aux[:, :-1].float())
        inputs = head.attention_input(shifted(batch), self.fused)
        self.layer = Layered(head.midlayer, head.rotary(batch), inputs, batch.clip(batch.at, 1))

    def step(self, tokens: Tensor) -> Tensor:
        if not self.layer.steps:
            self.last = self.layer.first(self.fused)
        else:
            self.last = self.layer.next(self.head.attention_input(tokens, self.last), self.last)
        return self.last


def boundaries(options: Options, config: DecoderConfig) -> tuple[int, ...]:
    """Low, middle, high if nothing else is asked for; ConfigError for what the target does not have."""
    layers = config.num_layers
    return checked_boundaries(options.aux_layers or (2, layers // 2, layers - 3), config)


def check(options: Options, config: DecoderConfig) -> None:
    """ConfigError for options that do not suit the target."""
    boundaries(options, config)
    if options.draft_vocab_size > config.vocab_size:
        raise ConfigError(f"draft_vocab_size is {options.draft_vocab_size}, above the target's {config.vocab_size}")


HEAD, OPTIONS = Eagle3, Options
