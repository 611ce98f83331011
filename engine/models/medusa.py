"""Medusa heads (Cai et al. 2024): residual blocks and an output head for every offset, all on the target's last state.

z = h, then z <- z + silu(W z + b) per block; head i says the token at t + 2 + i where h is the state at t. Read in the
authors' layout ({i}.{j}.linear.weight, {i}.{blocks}.weight) and in vLLM's (blocks.{i}.layers.{j}, lm_heads.{i}). The
number of heads is that of the tensors: the authors' config.json says 2 where there are 5.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import silu

from engine.drafting.host import Host
from engine.errors import ConfigError
from engine.models.config import read_raw_config
from engine.models.dummy import open_weights
from engine.models.linear import Linear, build_linear
from engine.models.loader import STANDARD, Weights

FILES = ("medusa_lm_head.safetensors", "medusa_lm_head.pt", *STANDARD)
SHARED_HEADS = ("lm_heads.0.weight", "lm_head.weight")


@dataclass(frozen=True)
class Layout:
    """Where a checkpoint keeps things. `shared` is the one head of all offsets, None where each has its own."""

    num_heads: int
    num_blocks: int
    block: Callable[[int, int], str]  # (head, block) -> name before .weight and .bias
    head: Callable[[int], str]
    bias: bool
    shared: str | None = None
    kept: int | None = None  # output tokens where they are fewer than the vocabulary; token_map names them


class MedusaNetwork:
    """`residuals` and `logits` apart, so that a caller computes the heads and rows that it needs."""

    def __init__(self, folder: Path, host: Host):
        target = host.target
        weights = open_weights(folder, target.load_format, FILES, strip=("medusa_heads.",))
        layout = _layout(weights, read_raw_config(folder), target.config.hidden_size, target.config.vocab_size)
        hidden, like = target.config.hidden_size, (target.dtype, target.device)
        self.num_heads, self._vocab_size = layout.num_heads, target.config.vocab_size
        self._ids = _token_map(weights, layout, self._vocab_size, target.device)
        blocks = [_stacked(weights, layout, j, hidden, like) for j in range(layout.num_blocks)]
        heads = _heads(weights, layout, self._ids, (self._vocab_size, hidden), like)
        weights.finish()
        self._product = host.product_for([*heads, *(weight.flatten(0, 1) for weight, _ in blocks)])
        # Rounded weights are made once, for each head apart; the others lie together, for as many heads as are drafted.
        self._rounded = [self._apart(*block) for block in blocks] if host.quantization is not None else None
        self._blocks = blocks if self._rounded is None else []
        built = [build_linear(head, None, self._product) for head in heads]
        self._heads = built * (layout.num_heads // len(built))

    def residuals(self, count: int) -> Callable[[Tensor], Tensor]:
        """A function of states [S, H] -> [count, S, H], what the first `count` heads read."""
        if self._rounded:
            return partial(_by_head, [block[:count] for block in self._rounded])
        if not self._blocks:
            return lambda states: states.expand(count, *states.shape)
        weight, bias = self._blocks[0]
        # All heads read the same state: their first blocks are one product.
        flat_bias = None if bias is None else bias[:count].flatten()
        first = build_linear(weight[:count].flatten(0, 1), flat_bias, self._product)
        rest = [_batched(weight[:count], None if bias is None else bias[:count]) for weight, bias in self._blocks[1:]]

        def run(states: Tensor) -> Tensor:
            rows, width = states.shape
            z = states + silu(first(states).view(rows, count, width).transpose(0, 1))
            for block in rest:
                z = z + silu(block(z))
            return z

        return run

    def _apart(self, weight: Tensor, bias: Tensor | None) -> list[Linear]:
        biases = [None] * len(weight) if bias is None else list(bias)
        return [build_linear(*each, self._product) for each in zip(weight, biases, strict=True)]

    def logits(self, head: int, z: Tensor) -> Tensor:
        """z [S, H] of this head -> [S, V]; -inf for tokens that a shortened vocabulary lacks."""
        out = self._heads[head](z).float()
        if self._ids is None:
            return out
        return out.new_full((out.shape[0], self._vocab_size), float("-inf")).index_copy_(1, self._ids, out)


def _layout(weights: Weights, raw: Mapping[str, Any], hidden: int, vocab: int) -> Layout:
    """The layout by the names of the tensors; sizes that config.json tells must be the target's."""
    for name, size in (("hidden_size", hidden), ("vocab_size", vocab)):
        if raw.get(name, size) != size:
            raise ConfigError(f"{weights.folder} is for a target of {name}={raw[name]}: this one has {size}")
    names = weights.names() or [f"{i}.0.linear.weight" for i in range(raw.get("medusa_num_heads", 0))]
    if not any(name.startswith(("blocks.", "lm_head")) for name in names):
        depth = raw.get("medusa_num_layers", 1)
        indices = [int(name.partition(".")[0]) for name in names if name.partition(".")[0].isdigit()]
        return Layout(_count(indices, weights), depth, "{}.{}.linear".format, f"{{}}.{depth}.weight".format, bias=True)
    depth, kept = raw.get("num_hidden_layers", 1), raw.get("truncated_vocab_size") or vocab
    indices = [int(name.split(".")[1]) for name in names if name.startswith(("blocks.", "lm_heads."))]
    shared = next((name for name in SHARED_HEADS if weights.has(name)), SHARED_HEADS[0])
    return Layout(
        _count(indices, weights),
        depth,
        "blocks.{}.layers.{}".format,
        "lm_heads.{}.weight".format,
        bias=bool(raw.get("medusa_fc_bias", False)),
        shared=shared if raw.get("original_lm_head", False) else None,
        kept=kept if kept < vocab else None,
    )


def _count(indices: list[int], weights: Weights) -> int:
    if not indices:
        raise ConfigError(
            f"{weights.folder} holds no Medusa heads: expected 0.0.linear.weight or blocks.0.layers.0.weight"
        )
    return 1 + max(indices)


def _stacked(
    weights: Weights, layout: Layout, block: int, hidden: int, like: tuple[torch.dtype, torch.device]
) -> tuple[Tensor, Tensor | None]:
    """Weight [heads, H, H] and bias [heads, H] of one block of all heads."""
    names = [layout.block(i, block) for i in range(layout.num_heads)]
    heads = [hidden] * layout.num_heads
    weight = weights.fuse([f"{name}.weight" for name in names], heads, (hidden,), *like).view(-1, hidden, hidden)
    if not layout.bias:
        return weight, None
    return weight, weights.fuse([f"{name}.bias" for name in names], heads, (), *like).view(-1, hidden)


def _token_map(weights: Weights, layout: Layout, vocab: int, device: torch.device) -> Tensor | None:
    """[kept] ids of the target's vocabulary that the heads can say."""
    if layout.kept is None:
        return None
    ids = weights.take("token_map", (layout.kept,), torch.int64, device)
    if not 0 <= int(ids.min()) <= int(ids.max()) < vocab or len(ids.unique()) < len(ids):
        raise ConfigError(f"token_map in {weights.folder} must name {layout.kept} different ids below {vocab}")
    return ids


def _heads(
    weights: Weights,
    layout: Layout,
    ids: Tensor | None,
    shape: tuple[int, int],
    like: tuple[torch.dtype, torch.device],
) -> list[Tensor]:
    """[kept, H] of every head, or of the one that all share; files may hold all rows where only some are kept."""
    names = [layout.shared] if layout.shared else [layout.head(i) for i in range(layout.num_heads)]
    if ids is None:
        return [weights.take(name, shape, *like) for name in names]
    short = (len(ids), shape[1])
    return [
        weights.take(name, shape, *like)[ids] if weights.shape(name) == shape else weights.take(name, short, *like)
        for name in names
    ]


def _by_head(blocks: Sequence[Sequence[Linear]], states: Tensor) -> Tensor:
    """states [S, H] -> [heads, S, H]; blocks[j][i] is block j of head i."""
    z = [states] * len(blocks[0])
    for block in blocks:
        z = [each + silu(product(each)) for product, each in zip(block, z, strict=True)]
    return torch.stack(z)


def _batched(weight: Tensor, bias: Tensor | None) -> Callable[[Tensor], Tensor]:
    """[heads, S, H] -> [heads, S, H]: a product of its own for every head."""
    across = weight.transpose(1, 2)
    if bias is None:
        return lambda z: torch.bmm(z, across)
    return lambda z: torch.baddbmm(bias[:, None], z, across)
