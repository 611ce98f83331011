"""The MLP speculator (Wertheimer et al. 2024): a small recurrent network started from the target's last state.

Stage i, with token t: s <- gelu(LN_i(proj_i(s) + (ew / sw) emb_i(t))), logits head_i(s). sw = 0.5^(0.5 / n_predict) and
ew = sqrt((1 - sw^2) inner / 2) keep the variance of s. LN is x / sqrt(mean(x^2) + 1e-6) * weight + bias.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.nn.functional import gelu

from engine.drafting.host import Host
from engine.errors import ConfigError
from engine.models.config import read_raw_config
from engine.models.dummy import open_weights
from engine.models.layers import Norm, build_norm
from engine.models.linear import Linear, build_linear
from engine.models.loader import Weights

T = TypeVar("T")
EPS = 1e-6


@dataclass(frozen=True)
class Sizes:
    """Of config.json, with the defaults of the authors' code. `width` is the target's hidden size."""

    n_predict: int
    width: int
    inner: int
    vocab: int
    tied: bool
    scale_input: bool

    @classmethod
    def read(cls, raw: Mapping[str, Any], folder: Path) -> "Sizes":
        stages, width = raw.get("n_predict", 3), raw.get("emb_dim", 4096)
        if len(raw.get("top_k_tokens_per_head", [0] * stages)) != stages:
            raise ConfigError(f"top_k_tokens_per_head in {folder / 'config.json'} must have n_predict={stages} entries")
        inner, vocab = raw.get("inner_dim", 0) or width, raw.get("vocab_size", 32000)
        flags = (bool(raw.get(name, False)) for name in ("tie_weights", "scale_input"))
        return cls(stages, width, inner, vocab, *flags)

    @property
    def token_weight(self) -> float:
        """ew / sw."""
        state_weight = 0.5 ** (0.5 / self.n_predict)
        return math.sqrt((1 - state_weight**2) * self.inner / 2) / state_weight


@dataclass(frozen=True)
class Stage:
    """`embeddings` are multiplied by ew / sw already."""

    embeddings: Tensor
    proj: Linear
    norm: Norm
    bias: Tensor
    head: Linear


class MlpSpeculatorNetwork:
    """start, then for every stage: advance by a token, read its logits."""

    def __init__(self, folder: Path, host: Host):
        target = host.target
        self.sizes = sizes = Sizes.read(read_raw_config(folder), folder)
        _check_target(sizes, target.config.hidden_size, target.config.vocab_size, folder)
        weights, like = open_weights(folder, target.load_format, strip=("speculator.",)), (target.dtype, target.device)
        stages, table, vector = range(sizes.n_predict), (sizes.vocab, sizes.inner), (sizes.inner,)

        def take(name: str, shapes: list[tuple[int, ...]], own: int = 0) -> list[Tensor]:
            return _take(weights, name, shapes, own if sizes.tied else sizes.n_predict, like)

        emb = take("emb.{}.weight", [table for _ in stages])
        proj = take("proj.{}.weight", [(sizes.inner, sizes.inner if i else sizes.width) for i in stages], own=1)
        norm, bias = take("ln.{}.weight", [vector for _ in stages]), take("ln.{}.bias", [vector for _ in stages])
        head = take("head.{}.weight", [table for _ in stages])
        weights.finish()
        product = host.product_for([*proj, *head])
        self._stages = [
            Stage(*parts)
            for parts in zip(
                _each(emb, lambda weight: weight * sizes.token_weight),
                _each(proj, lambda weight: build_linear(weight, None, product)),
                _each(norm, lambda weight: build_norm(weight, EPS)),
                bias,
                _each(head, lambda weight: build_linear(weight, None, product)),
                strict=True,
            )
        ]
        self._scale = build_norm(torch.full((sizes.width,), math.sqrt(0.5), dtype=like[0], device=like[1]), EPS)

    def start(self, hidden: Tensor) -> Tensor:
        """The target's states [S, H] -> the state that the first stage reads."""
        return self._scale(hidden) if self.sizes.scale_input else hidden

    def advance(self, stage: int, state: Tensor, tokens: Tensor) -> Tensor:
        """state [S, .], tokens [S] -> [S, inner]."""
        part = self._stages[stage]
        mixed = part.proj(state) + part.embeddings.index_select(0, tokens)
        return gelu(part.norm(mixed).add_(part.bias))

    def logits(self, stage: int, state: Tensor) -> Tensor:
        """state [S, inner] after `stage` -> [S, V] of the target's vocabulary."""
        return self._stages[stage].head(state).float()


def _check_target(sizes: Sizes, hidden: int, vocab: int, folder: Path) -> None:
    for name, own, needed in (("emb_dim", sizes.width, hidden), ("vocab_size", sizes.vocab, vocab)):
        if own != needed:
            raise ConfigError(f"{folder} is for a target of {name}={own}: this one has {needed}")


def _take(
    weights: Weights,
    name: str,
    shapes: list[tuple[int, ...]],
    own: int,
    like: tuple[torch.dtype, torch.device],
) -> list[Tensor]:
    """One tensor a stage: the first `own` stages have their own, the rest share one, of which files may hold copies."""
    tensors = [weights.take(name.format(i), shapes[i], *like) for i in range(own)]
    stages = range(own, len(shapes))
    if not stages:
        return tensors
    names = [name.format(i) for i in stages if weights.has(name.format(i))] or [name.format(own)]
    copies = [weights.take(copy, shapes[own], *like) for copy in names]
    for copy, tensor in zip(names, copies, strict=True):
        if not torch.equal(tensor, copies[0]):
            raise ConfigError(
                f"{copy} in {weights.folder} is not {names[0]}, although tie_weights says that they are one"
            )
    return tensors + [copies[0]] * len(stages)


def _each(tensors: list[Tensor], build: Callable[[Tensor], T]) -> list[T]:
    """`build` of every tensor, once for those that are one."""
    made = {id(tensor): build(tensor) for tensor in {id(tensor): tensor for tensor in tensors}.values()}
    return [made[id(tensor)] for tensor in tensors]
